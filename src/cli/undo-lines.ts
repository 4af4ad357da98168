// What `registry delete` and `registry restore` print, one event at a time. Pure.
import { humanBytes } from "../gc/human-bytes.ts";
import type { ListedDeletion } from "../registry/deletions.ts";
import type { TakenTag } from "../registry/ports/index.ts";
import type { DeleteEvent, RestoreEvent } from "../registry/undo-commands.ts";

/** Of lists of digests or tags, as many are named. */
const namedMax = 10;

function listOf(names: readonly string[], count = names.length): string {
  const more = count - Math.min(names.length, namedMax);
  return `${names.slice(0, namedMax).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}

function amount(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

export function deletionLine(deletion: ListedDeletion): string {
  const { id, repository, digest, what, tags, tagCount } = deletion;
  const tagged = tagCount === 0 ? "untagged" : `with ${listOf(tags, tagCount)}`;
  const named =
    what === "tag"
      ? `${repository}:${tags[0] ?? ""}: tag of ${digest}`
      : `${repository}@${digest}: ${what}, ${tagged}`;
  return [
    `#${id} ${named}`,
    `deleted ${timeOf(deletion.nowMs)} by ${deletion.deletedBy} (${deletion.reason})`,
    `restorable until ${timeOf(deletion.restorableUntilMs)}`,
    `holds ${deletion.heldBytes} bytes (${humanBytes(deletion.heldBytes)})`,
  ].join("; ");
}

export function deletionDocument(deletion: ListedDeletion): object {
  const { nowMs, restorableUntilMs, ...rest } = deletion;
  return {
    ...rest,
    deletedAt: new Date(nowMs).toISOString(),
    restorableUntil: new Date(restorableUntilMs).toISOString(),
  };
}

export function deleteLines(event: DeleteEvent): string[] {
  const { name, dryRun, result, restorableUntilMs } = event;
  if (result.outcome === "changed") return [`${name}: it names ${result.digest} by now`];
  if (result.outcome === "unknown") return [`${name}: not found; nothing was deleted`];
  const undo =
    restorableUntilMs === null
      ? "; it cannot be restored"
      : `; restorable until ${timeOf(restorableUntilMs)}: registry restore ${name}`;
  const verb = dryRun ? "would be deleted" : "deleted";
  return [`${name}: ${verb}, ${whatWent(result)}${dryRun ? "" : undo}`];
}

function whatWent(result: DeleteEvent["result"]): string {
  switch (result.what) {
    case "tag":
      return `tag of ${result.digest}, which stays`;
    case "image": {
      const { tags, manifests } = result;
      const tagged = tags.length === 0 ? "no tags" : `tags ${listOf(tags)}`;
      const more = manifests.length - 1;
      const belonging = more > 0 ? `, and ${amount(more, "manifest")} that belong to it` : "";
      return `image with ${tagged}${belonging}`;
    }
    case "repository": {
      const { manifests, tags, uploads } = result;
      const ended = uploads > 0 ? `, ${amount(uploads, "upload")} ended` : "";
      return `repository with ${amount(manifests, "manifest")} and ${amount(tags, "tag")}${ended}`;
    }
  }
}

export function restoreLines({ name, dryRun, report }: RestoreEvent): string[] {
  switch (report.outcome) {
    case "restored": {
      const { deletion, manifests, tags, taken, leftOut } = report;
      const parts = [
        ...(tags.length > 0 ? [`tags ${listOf(tags)}`] : []),
        ...(manifests.length > 0 ? [amount(manifests.length, "manifest")] : []),
      ];
      const verb = dryRun ? "would be restored" : "restored";
      return [
        `${deletion.repository}@${deletion.digest}: ${verb}, ${parts.join(", ")}`,
        ...takenLines(name, taken),
        ...(leftOut.length > 0 ? [`  left out, their content being gone: ${listOf(leftOut)}`] : []),
      ];
    }
    case "taken":
      return [`${name}: not restored`, ...takenLines(name, report.taken)];
    case "missing":
      return [
        `${report.deletion.repository}@${report.deletion.digest}: not restored, it needs what is not there: ${listOf(report.missing)}`,
        `  restore that first if it was deleted by itself (registry restore ${report.deletion.repository}@<digest>), or push it again`,
      ];
    case "there":
      return [`${name}: nothing to restore, it is there`];
    case "gone":
      return [
        `${name}: it is gone: deleted ${timeOf(report.deletedAtMs)}, let go ${timeOf(report.releasedAtMs)} by a collection; push it again`,
      ];
    case "unknown":
      return [
        `${name}: no deletion of it is known; registry restore --list shows what can be restored`,
      ];
  }
}

function takenLines(name: string, taken: readonly TakenTag[]): string[] {
  return taken
    .slice(0, namedMax)
    .map(
      ({ tag, digest }) =>
        `  tag ${tag} names ${digest} by now and was not moved; --force-tags moves it${name.includes(":") ? "" : ` (registry restore --force-tags ${name}:${tag})`}`,
    );
}
