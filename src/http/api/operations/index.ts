// Every operation of the API. A new one is added to the table of its file, and that file here.
import type { Operation } from "../operation.ts";
import { collectionOperations } from "./collection.ts";
import { deletionOperations } from "./deletions.ts";
import { imageOperations } from "./images.ts";
import { registryOperations } from "./registry.ts";
import { repositoryOperations } from "./repositories.ts";
import { restoringOperations } from "./restoring.ts";
import { retentionOperations } from "./retention.ts";
import { usageOperations } from "./usage.ts";
import { verificationOperations } from "./verification.ts";

export const operations: readonly Operation[] = [
  ...registryOperations,
  ...repositoryOperations,
  ...imageOperations,
  ...usageOperations,
  ...deletionOperations,
  ...restoringOperations,
  ...retentionOperations,
  ...collectionOperations,
  ...verificationOperations,
];
