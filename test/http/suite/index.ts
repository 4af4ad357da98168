// The behaviour of the HTTP API, for any Registry: call with a factory that makes an empty one.
import type { RegistryFactory } from "../harness.ts";
import { deleteTests } from "./delete.ts";
import { listTests } from "./lists.ts";
import { pullTests } from "./pull.ts";
import { pushBlobTests } from "./push-blob.ts";
import { pushManifestTests } from "./push-manifest.ts";

export function httpSuite(factory: RegistryFactory): void {
  pullTests(factory);
  pushBlobTests(factory);
  pushManifestTests(factory);
  listTests(factory);
  deleteTests(factory);
}
