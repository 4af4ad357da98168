// What each operation of the JSON API needs, by its id. The table that routes them is the code's own: one that is
// missing here fails the test, whoever may use it.
import type { Operation } from "../../src/http/api/operation.ts";
import { operations } from "../../src/http/api/operations/index.ts";
import type { Content } from "./content.ts";
import type { Action, Needs } from "./oracle.ts";
import type { Asked } from "./requests.ts";

type Wanted = readonly Action[] | "list" | "admin";

interface Entry {
  readonly needs: Wanted;
  readonly query?: (content: Content) => string;
  readonly body?: (content: Content) => object;
}

const entries: Readonly<Record<string, Entry>> = {
  getRegistry: { needs: "admin" },
  listRepositories: { needs: "list" },
  getRepository: { needs: ["pull"] },
  listTags: { needs: ["pull"] },
  getImage: { needs: ["pull"] },
  listReferrers: { needs: ["pull"] },
  getUsage: { needs: "admin" },
  listLargestRepositories: { needs: "list" },
  listLargestTags: { needs: "list" },
  listLargestBlobs: { needs: "list" },
  getUsageByAge: { needs: "list" },
  getUsageHistory: { needs: "admin" },
  getRepositoryUsage: { needs: ["pull"] },
  getImageUsage: { needs: ["pull"] },
  previewDeletion: { needs: "list", query: ({ repository }) => `?of=${repository}` },
  deleteTag: { needs: ["delete"] },
  deleteImage: { needs: ["delete"] },
  deleteRepository: { needs: ["delete"] },
  listDeletions: { needs: "admin", query: ({ repository }) => `?repository=${repository}` },
  restore: { needs: "admin", body: ({ repository }) => ({ repository, tag: "v1" }) },
  restoreRepository: { needs: ["pull", "push"] },
  getRetention: { needs: "admin" },
  previewRetention: { needs: "admin" },
  applyRetention: { needs: "admin" },
  stopRetention: { needs: "admin" },
  getCollection: { needs: "admin" },
  startCollection: { needs: "admin" },
  stopCollection: { needs: "admin" },
  watchCollection: { needs: "admin" },
  listCollectionRuns: { needs: "admin" },
  getVerification: { needs: "admin" },
  startVerification: { needs: "admin" },
  stopVerification: { needs: "admin" },
};

/** Operations that the matrix does not know, and what it knows that is no operation. */
export function unmatched(): readonly string[] {
  const ids = operations.map(({ id }) => id);
  const unknown = ids.filter((id) => !Object.hasOwn(entries, id));
  return [...unknown, ...Object.keys(entries).filter((id) => !ids.includes(id))];
}

function isAboutRepository({ path }: Operation): boolean {
  return path.includes("{name}");
}

/** @param content null: those that are about no repository. */
export function apiRequests(content: Content, about: "one" | "all"): readonly Asked[] {
  return operations
    .filter((one) => isAboutRepository(one) === (about === "one"))
    .flatMap((one) => asksOf(one, content));
}

function asksOf(operation: Operation, content: Content): readonly Asked[] {
  const { id, method } = operation;
  const entry = entries[id] ?? { needs: "admin" };
  const path = pathOf(operation, content) + (entry.query?.(content) ?? "");
  const needs = needsOf(entry.needs, content.repository);
  if (method === "GET") {
    const asked = (verb: string): Asked => ({
      id: `${verb} ${id}`,
      method: verb,
      needs,
      isApi: true,
      real: { path, init: { method: verb } },
      statuses: [200],
    });
    return [asked("GET"), asked("HEAD")];
  }
  const headers = { "Content-Type": "application/json" };
  const body = method === "POST" ? JSON.stringify(entry.body?.(content) ?? {}) : null;
  const sent = { method, headers: { ...headers, "X-Plimsoll": "1" }, body };
  return [
    {
      id,
      method,
      needs,
      isApi: true,
      real: { path, init: sent },
      // Refused after the decision, because it could come from another site.
      harmless: { path, init: { method, headers, body } },
      statuses: [403],
    },
  ];
}

function pathOf({ path }: Operation, content: Content): string {
  const { repository, image } = content;
  const below = path.replace("{name}", repository).replace("{reference}", image);
  return `/api/v1${below.replace("{tag}", "v1")}`;
}

function needsOf(wanted: Wanted, repository: string): Needs {
  if (wanted === "admin") return { kind: "admin" };
  if (wanted === "list") return { kind: "catalog" };
  return { kind: "repository", repository, actions: wanted };
}
