// A search over very many names goes on where it stopped, and leaves none out.
import { expect, test } from "bun:test";
import type { RepositoryName } from "../oci/index.ts";
import { Inspection, type InspectionParts, type RepositoryPage } from "./inspection.ts";

const nameOf = (n: number): RepositoryName => `r${String(n).padStart(6, "0")}` as RepositoryName;

/** Repositories r000000, r000001 and so on. */
function inspectionOf(count: number, looked: { atOnce: number }): Inspection {
  const index: Partial<InspectionParts["index"]> = {
    listRepositories: async ({ after, limit }) => {
      looked.atOnce = Math.max(looked.atOnce, limit);
      const start = after === null ? 0 : Number(after.slice(1)) + 1;
      const end = Math.min(count, start + limit);
      return Array.from({ length: Math.max(0, end - start) }, (_, n) => nameOf(start + n));
    },
    describeRepository: async (name) => ({
      name,
      manifests: 1,
      tags: 1,
      logicalBytes: 1,
      exclusiveBytes: 1,
      newestTagMs: null,
    }),
  };
  return new Inspection({ index } as unknown as InspectionParts);
}

async function searched(
  inspection: Inspection,
  matches: (name: string) => boolean,
  limit: number,
): Promise<readonly string[][]> {
  const pages: string[][] = [];
  let after: RepositoryName | null = null;
  do {
    const page: RepositoryPage = await inspection.listRepositories({ after, limit }, matches);
    pages.push(page.repositories.map(({ name }) => name));
    after = page.next;
  } while (after !== null);
  return pages;
}

test("what matches late is found by following the pages, some of them empty", async () => {
  const looked = { atOnce: 0 };
  const inspection = inspectionOf(45_000, looked);
  const wanted = [0, 19_999, 20_000, 44_999].map(nameOf);
  const pages = await searched(inspection, (name) => wanted.includes(name as never), 10);
  expect(pages).toEqual([[nameOf(0), nameOf(19_999)], [nameOf(20_000)], [nameOf(44_999)]]);
  expect(await searched(inspection, () => false, 10)).toEqual([[], [], []]);
  // Others wait for one look-up.
  expect(looked.atOnce).toBeLessThanOrEqual(500);
});

test("pages end where they are full, also in the middle of a look-up", async () => {
  const inspection = inspectionOf(1_001, { atOnce: 0 });
  const even = (name: string): boolean => Number(name.slice(1)) % 2 === 0;
  for (const limit of [1, 7, 250, 251, 500, 501, 502]) {
    const pages = await searched(inspection, even, limit);
    expect(pages.flat()).toEqual(Array.from({ length: 501 }, (_, n) => nameOf(2 * n)));
    expect(pages).toHaveLength(Math.ceil(501 / limit));
  }
});
