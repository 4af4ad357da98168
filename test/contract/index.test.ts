// The contract of the index port, for every driver. PostgreSQL will be the third.
import { describe, setDefaultTimeout } from "bun:test";
import { immutableContract, quotaContract } from "./index/bounds-contract.ts";
import { boundsProperty } from "./index/bounds-property.ts";
import { condemnContract, removalContract } from "./index/collecting-contract.ts";
import { absorbContract, unreadableContract } from "./index/comparing-contract.ts";
import { deleteContract, redoContract } from "./index/deleting-contract.ts";
import { deletionsContract } from "./index/deletions-contract.ts";
import { eventsContract } from "./index/events-contract.ts";
import { fileDriver, memoryDriver } from "./index/fixture.ts";
import { inspectionContract } from "./index/inspection-contract.ts";
import { leaseContract } from "./index/leases-contract.ts";
import { metricsContract } from "./index/metrics-contract.ts";
import { namesContract } from "./index/names-contract.ts";
import { pullsContract } from "./index/pulls-contract.ts";
import { acceptContract, mountContract, uploadContract } from "./index/pushing-contract.ts";
import { retentionContract } from "./index/retention-contract.ts";
import { runsContract } from "./index/runs-contract.ts";
import { tokensContract } from "./index/tokens-contract.ts";
import { queueContract } from "./index/queue-contract.ts";
import { restoreContract } from "./index/restore-contract.ts";
import { restorableContract } from "./index/restorable-contract.ts";
import { usageContract } from "./index/usage-contract.ts";

// A slow disk and a busy machine are no failure.
setDefaultTimeout(300_000);

for (const driver of [memoryDriver, fileDriver]) {
  describe(`index ${driver.name}`, () => {
    uploadContract(driver);
    mountContract(driver);
    acceptContract(driver);
    leaseContract(driver);
    immutableContract(driver);
    quotaContract(driver);
    boundsProperty(driver);
    namesContract(driver);
    deleteContract(driver);
    deletionsContract(driver);
    restorableContract(driver);
    restoreContract(driver);
    redoContract(driver);
    condemnContract(driver);
    removalContract(driver);
    unreadableContract(driver);
    absorbContract(driver);
    runsContract(driver);
    pullsContract(driver);
    retentionContract(driver);
    queueContract(driver);
    metricsContract(driver);
    eventsContract(driver);
    inspectionContract(driver);
    usageContract(driver);
    tokensContract(driver);
  });
}
