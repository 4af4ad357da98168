// The queue of events. Bounded: of more than can be kept, the oldest go, so an endpoint that is away for
// days costs no more than this. Which change leaves which event: event-tellers.ts.
import type { EventPlace, QueuedEvent, RegistryEvent } from "../registry/ports/index.ts";
import type { Sql } from "./sql.ts";

/** Some 30 MB. */
export const eventsMax = 50_000;
/**
 * A busy registry is pulled from thousands of times a second, and one run of retention may remove more than the
 * queue holds: that must not push out what clients did.
 */
export const unaskedWaitingMax = 10_000;

export function isAnybodyToBeTold(sql: Sql): boolean {
  return sql.has("SELECT 1 FROM event_endpoints LIMIT 1");
}

export function queueEvents(sql: Sql, events: readonly RegistryEvent[]): boolean {
  if (!isAnybodyToBeTold(sql) || !hasRoomForUnasked(sql, events.length)) return false;
  addEvents(sql, events);
  return true;
}

export function hasRoomForUnasked(sql: Sql, count: number): boolean {
  return waiting(sql) + count <= unaskedWaitingMax;
}

function waiting(sql: Sql): number {
  // Two statements: asked for both at once, SQLite walks the table.
  const first = sql.get<{ id: number | null }>("SELECT min(id) AS id FROM events")?.id ?? null;
  const last = sql.get<{ id: number | null }>("SELECT max(id) AS id FROM events")?.id ?? null;
  return first === null || last === null ? 0 : last - first + 1;
}

export function addEvents(sql: Sql, events: readonly RegistryEvent[]): void {
  let last = 0;
  for (const event of events) {
    last = sql.insert("INSERT INTO events (event) VALUES (?)", JSON.stringify(event));
  }
  if (last > eventsMax) sql.run("DELETE FROM events WHERE id <= ?", last - eventsMax);
}

/** Some 60 kB: enough for any removal, and little enough for the log of a full disk. */
const droppedAtOnce = 100;

/** For a removal that finds no space on a full disk: an endpoint that is away must not keep it. */
export function dropOldestEvents(sql: Sql): void {
  sql.run(
    "DELETE FROM events WHERE id IN (SELECT id FROM events ORDER BY id LIMIT ?)",
    droppedAtOnce,
  );
}

export function setEventEndpoints(sql: Sql, names: readonly string[]): boolean {
  const wanted = JSON.stringify(names);
  sql.run("DELETE FROM event_endpoints WHERE name NOT IN (SELECT value FROM json_each(?))", wanted);
  sql.run(
    `INSERT OR IGNORE INTO event_endpoints (name, position)
     SELECT value, coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)
     FROM json_each(?)`,
    wanted,
  );
  return forgetEvents(sql);
}

export function nextEvents(sql: Sql, endpoint: string, limit: number): QueuedEvent[] | null {
  const known = sql.get<{ position: number }>(
    "SELECT position FROM event_endpoints WHERE name = ?",
    endpoint,
  );
  if (known === null) return null;
  return sql
    .all<{ id: number; event: string }>(
      "SELECT id, event FROM events WHERE id > ? ORDER BY id LIMIT ?",
      known.position,
      limit,
    )
    .map(({ id, event }) => ({ position: id, event: JSON.parse(event) as RegistryEvent }));
}

export function settleEvents(sql: Sql, endpoint: string, upTo: EventPlace): void {
  if (!isOfThisQueue(sql, upTo)) return;
  sql.run(
    "UPDATE event_endpoints SET position = max(position, ?) WHERE name = ?",
    upTo.position,
    endpoint,
  );
  forgetEvents(sql);
}

/** What is there no more was settled before, or dropped as too old. */
function isOfThisQueue(sql: Sql, { position, id }: EventPlace): boolean {
  const found = sql.get<{ id: string }>(
    "SELECT event ->> 'id' AS id FROM events WHERE id = ?",
    position,
  );
  if (found !== null) return found.id === id;
  return sql.has("SELECT 1 FROM sqlite_sequence WHERE name = 'events' AND seq >= ?", position);
}

/** Some 600 kB: a few milliseconds of the write lock. */
const forgottenAtOnce = 1_000;

/** What everybody has had, or nobody wants. Positions never begin anew (AUTOINCREMENT). */
export function forgetEvents(sql: Sql): boolean {
  const forgotten = sql.run(
    `DELETE FROM events WHERE id IN (
       SELECT id FROM events WHERE id <=
         coalesce((SELECT min(position) FROM event_endpoints), (SELECT max(id) FROM events))
       ORDER BY id LIMIT ?)`,
    forgottenAtOnce,
  );
  return forgotten === forgottenAtOnce;
}
