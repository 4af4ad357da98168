// What we depend on: every package of the lock file is pinned by a hash and comes from nowhere odd; a known
// vulnerability in what is shipped fails the audit, and a silent service does not; the bill of materials
// names all that is in the executable. Imports nothing from src.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, setDefaultTimeout, test } from "bun:test";

setDefaultTimeout(120_000);

const repositoryRoot = resolve(import.meta.dir, "..");

interface LockEntry {
  readonly version?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly link?: boolean;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly optional?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
}

async function json<T>(path: string): Promise<T> {
  return JSON.parse(await readFile(path, "utf8")) as T;
}

async function lockEntries(): Promise<readonly (readonly [path: string, entry: LockEntry])[]> {
  const lock = await json<{ packages: Record<string, LockEntry> }>(
    join(repositoryRoot, "package-lock.json"),
  );
  return Object.entries(lock.packages).filter(([path]) => path !== "");
}

/** "node_modules/a/node_modules/@b/c" is a place of "@b/c". */
function nameAt(place: string): string {
  return place.slice(place.lastIndexOf("node_modules/") + "node_modules/".length);
}

/** Every place but the registry itself, which npm puts in place of what is configured. */
function oddities([path, entry]: readonly [string, LockEntry]): readonly string[] {
  const odd: string[] = [];
  if (!/^sha512-[A-Za-z0-9+/]{86}==$/.test(entry.integrity ?? "")) odd.push(`${path}: no SHA-512`);
  if (entry.link === true) odd.push(`${path}: a link`);
  const { resolved } = entry;
  if (resolved !== undefined && !resolved.startsWith("https://registry.npmjs.org/")) {
    odd.push(`${path}: from ${resolved}`);
  }
  if (!/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(entry.version ?? "")) odd.push(`${path}: no version`);
  return odd;
}

test("every package of the lock file is pinned by a hash, and comes from the registry", async () => {
  const entries = await lockEntries();
  expect(entries.length).toBeGreaterThan(20);
  expect(entries.flatMap(oddities)).toEqual([]);
  const good = { version: "1.0.0", integrity: entries[0]?.[1].integrity ?? "" };
  expect(oddities(["x", good])).toEqual([]);
  expect(oddities(["x", { ...good, integrity: "sha1-x" }])).toHaveLength(1);
  expect(oddities(["x", { ...good, resolved: "git+ssh://git@example.com/x.git" }])).toHaveLength(1);
});

test("package.json asks for exact versions", async () => {
  const manifest = await json<Record<string, Record<string, string>>>(
    join(repositoryRoot, "package.json"),
  );
  const wanted = { ...manifest["dependencies"], ...manifest["devDependencies"] };
  const loose = Object.entries(wanted).filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version));
  expect(loose).toEqual([]);
});

/** Runs the audit against a service that answers so. */
async function audited(
  answer: (request: Request) => Response,
): Promise<{ exitCode: number; output: string }> {
  using service = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: answer });
  // npm remembers what it was told of an advisory; not in anybody's own memory.
  const cache = await mkdtemp(join(tmpdir(), "plimsoll-npm-"));
  const registry = { npm_config_registry: `http://127.0.0.1:${service.port}/` };
  const child = Bun.spawn(["node", join(repositoryRoot, "scripts/audit.mjs")], {
    env: { ...process.env, ...registry, npm_config_cache: cache },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  const exitCode = await child.exited;
  await rm(cache, { recursive: true, force: true });
  return { exitCode, output: stdout + stderr };
}

/** A service that knows of one advisory, and gives out packages' own documents, which npm wants too. */
function advisory(about: string, severity: string, locked: ReadonlyMap<string, LockEntry>) {
  const told = { id: 1, url: "https://example.com/1", title: "it is bad", severity };
  const advisories = { [about]: [{ ...told, vulnerable_versions: "*", cwe: [], cvss: {} }] };
  return ({ method, url }: Request): Response => {
    if (method === "POST") return Response.json(advisories);
    const name = decodeURIComponent(new URL(url).pathname.slice(1));
    const { version = "", dependencies = {} } = locked.get(`node_modules/${name}`) ?? {};
    const dist = { tarball: "https://example.com/x.tgz" };
    const versions = { [version]: { name, version, dependencies, dist } };
    return Response.json({ name, versions, "dist-tags": { latest: version } });
  };
}

test("a grave vulnerability in what is shipped fails the audit, anything else does not", async () => {
  const locked = new Map(await lockEntries());
  const about = (name: string, severity: string): Promise<{ exitCode: number; output: string }> =>
    audited(advisory(name, severity, locked));
  const none = await audited(() => Response.json({}));
  expect(none.output).toContain("no known vulnerability");
  expect(none.exitCode).toBe(0);
  // A package that a tool depends on, too.
  const grave = await about("zod", "high");
  expect(grave.output).toContain("VULNERABLE: zod (high)");
  expect(grave.exitCode).toBe(1);
  const slight = await about("zod", "moderate");
  expect(slight.output).toContain("NOTICE: zod (moderate)");
  expect(slight.exitCode).toBe(0);
  const tool = await about("knip", "critical");
  expect(tool.output).toContain("NOTICE: knip (critical)");
  expect(tool.exitCode).toBe(0);
});

test("a service that does not answer is told of, and fails nothing", async () => {
  for (const answer of [
    () => new Response("no", { status: 405 }),
    () => new Response("not JSON"),
    () => new Response(null, { status: 500 }),
  ]) {
    const { exitCode, output } = await audited(answer);
    expect(output).toContain("NOT looked for");
    expect(exitCode).toBe(0);
  }
});

interface Bom {
  readonly bomFormat: string;
  readonly specVersion: string;
  readonly serialNumber: string;
  readonly metadata: { readonly component: Readonly<Record<string, unknown>> };
  readonly components: readonly {
    readonly "bom-ref": string;
    readonly name: string;
    readonly version: string;
    readonly purl: string;
    readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
    readonly licenses?: readonly unknown[];
  }[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

test("the bill of materials names all that is in the executable, with the lock file's hashes", async () => {
  const directory = await mkdtemp(join(tmpdir(), "plimsoll-sbom-"));
  try {
    const [path, executable] = [join(directory, "x.cdx.json"), join(directory, "x")];
    await Bun.write(executable, "an executable");
    const script = join(repositoryRoot, "scripts/sbom.mjs");
    const made = Bun.spawnSync(["node", script, path, executable]);
    expect(made.stderr.toString()).toBe("");
    const bom = await json<Bom>(path);
    expect(bom).toMatchObject({ bomFormat: "CycloneDX", specVersion: "1.5", version: 1 });
    expect(bom.serialNumber).toMatch(/^urn:uuid:[0-9a-f-]{36}$/);
    const content = new Bun.CryptoHasher("sha256").update("an executable").digest("hex");
    expect(bom.metadata.component).toMatchObject({
      type: "application",
      name: "plimsoll",
      hashes: [{ alg: "SHA-256", content }],
    });

    // Each is one of the lock file's, of the same version and bytes, and not one for tools alone. A name may
    // be there twice, in two versions.
    const shipped = new Map(
      (await lockEntries())
        .filter(([, entry]) => entry.dev !== true)
        .map(([place, entry]) => [`${nameAt(place)}@${entry.version}`, entry] as const),
    );
    for (const { name, version, purl, hashes, licenses } of bom.components) {
      const entry = shipped.get(`${name}@${version}`);
      expect([name, version, entry === undefined]).toEqual([name, version, false]);
      expect(purl).toBe(`pkg:npm/${name.replace("@", "%40")}@${version}`);
      const integrity = Buffer.from(entry?.integrity?.slice(7) ?? "", "base64").toString("hex");
      expect(hashes).toEqual([{ alg: "SHA-512", content: integrity }]);
      expect(licenses?.length).toBeGreaterThan(0);
    }
    // And none is left out: what the lock file says is for use, optional binaries of other machines apart.
    const listed = new Set(bom.components.map(({ name, version }) => `${name}@${version}`));
    const wanted = [...shipped].filter(([, entry]) => !entry.devOptional && !entry.optional);
    expect(wanted.map(([name]) => name).filter((name) => !listed.has(name))).toEqual([]);
    expect(bom.components.find(({ name }) => name === "bun")?.version).toBe(Bun.version);

    const references = bom.components.map((component) => component["bom-ref"]);
    expect(new Set(references).size).toBe(references.length);
    const known = new Set([...references, String(bom.metadata.component["bom-ref"])]);
    for (const { ref, dependsOn } of bom.dependencies) {
      expect([ref, ...dependsOn].filter((one) => !known.has(one))).toEqual([]);
    }
  } finally {
    await rm(directory, { recursive: true });
  }
});
