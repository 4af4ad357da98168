// The contract of the index port, for every driver. PostgreSQL will be the third.
import { describe, setDefaultTimeout } from "bun:test";
import { condemnContract, removalContract } from "./index/collecting-contract.ts";
import { absorbContract, unreadableContract } from "./index/comparing-contract.ts";
import { deleteContract, redoContract } from "./index/deleting-contract.ts";
import { deletionsContract } from "./index/deletions-contract.ts";
import { eventsContract } from "./index/events-contract.ts";
import { fileDriver, memoryDriver } from "./index/fixture.ts";
import { leaseContract } from "./index/leases-contract.ts";
import { metricsContract } from "./index/metrics-contract.ts";
import { namesContract } from "./index/names-contract.ts";
import { acceptContract, mountContract, uploadContract } from "./index/pushing-contract.ts";
import { runsContract } from "./index/runs-contract.ts";
import { queueContract } from "./index/queue-contract.ts";

// A slow disk and a busy machine are no failure.
setDefaultTimeout(300_000);

for (const driver of [memoryDriver, fileDriver]) {
  describe(`index ${driver.name}`, () => {
    uploadContract(driver);
    mountContract(driver);
    acceptContract(driver);
    leaseContract(driver);
    namesContract(driver);
    deleteContract(driver);
    deletionsContract(driver);
    redoContract(driver);
    condemnContract(driver);
    removalContract(driver);
    unreadableContract(driver);
    absorbContract(driver);
    runsContract(driver);
    queueContract(driver);
    metricsContract(driver);
    eventsContract(driver);
  });
}
