import { describe, expect, test } from "bun:test";
import { type DailyWindow, WindowClock } from "./daily-window.ts";

const at = (text: string): number => Date.parse(text);
const clockText = /^(\d\d):(\d\d)$/;
function minutes(text: string): number {
  const [, hour, minute] = clockText.exec(text) ?? [];
  return Number(hour) * 60 + Number(minute);
}
function windowOf(text: string): DailyWindow {
  const [from = "", to = ""] = text.split("-");
  return { startMinute: minutes(from), endMinute: minutes(to) };
}
function stateAt(window: string, zone: string, now: string): string {
  const state = new WindowClock(windowOf(window), zone).stateAt(at(now));
  const when = state.open ? state.closesAtMs : state.opensAtMs;
  return `${state.open ? "open until" : "opens at"} ${new Date(when).toISOString().slice(0, 16)}`;
}

describe("a daily window", () => {
  test.each([
    ["01:00-05:00", "2026-03-10T00:59:59Z", "opens at 2026-03-10T01:00"],
    ["01:00-05:00", "2026-03-10T01:00:00Z", "open until 2026-03-10T05:00"],
    ["01:00-05:00", "2026-03-10T05:00:00Z", "opens at 2026-03-11T01:00"],
    ["22:30-04:00", "2026-03-10T23:00:00Z", "open until 2026-03-11T04:00"],
    ["22:30-04:00", "2026-03-11T03:59:00Z", "open until 2026-03-11T04:00"],
    ["22:30-04:00", "2026-03-11T12:00:00Z", "opens at 2026-03-11T22:30"],
    ["20:00-00:00", "2026-12-31T23:59:00Z", "open until 2027-01-01T00:00"],
  ])("%s in UTC at %s: %s", (window, now, expected) => {
    expect(stateAt(window, "UTC", now)).toBe(expected);
  });

  test("by the clock of its zone", () => {
    expect(stateAt("01:00-05:00", "Asia/Tokyo", "2026-03-10T16:30:00Z")).toBe(
      "open until 2026-03-10T20:00",
    );
    expect(stateAt("01:00-05:00", "America/Los_Angeles", "2026-01-10T08:00:00Z")).toBe(
      "opens at 2026-01-10T09:00",
    );
    // A quarter of an hour off, and a day ahead of UTC.
    expect(stateAt("00:15-01:00", "Pacific/Chatham", "2026-06-10T11:29:00Z")).toBe(
      "opens at 2026-06-10T11:30",
    );
  });

  // Berlin, 29 March 2026: at 01:00 UTC the clock goes from 02:00 to 03:00.
  test.each([
    ["01:00-05:00", "2026-03-29T00:30:00Z", "open until 2026-03-29T03:00"],
    ["02:30-05:00", "2026-03-29T00:30:00Z", "opens at 2026-03-29T01:00"],
    ["01:00-02:30", "2026-03-29T00:30:00Z", "open until 2026-03-29T01:00"],
    ["02:15-02:45", "2026-03-29T00:30:00Z", "opens at 2026-03-30T00:15"],
    ["22:00-06:00", "2026-03-28T23:00:00Z", "open until 2026-03-29T04:00"],
  ])("%s on the day the clock skips an hour, at %s: %s", (window, now, expected) => {
    expect(stateAt(window, "Europe/Berlin", now)).toBe(expected);
  });

  // Berlin, 25 October 2026: at 01:00 UTC the clock goes from 03:00 to 02:00.
  test.each([
    ["01:00-05:00", "2026-10-25T00:30:00Z", "open until 2026-10-25T04:00"],
    ["02:30-05:00", "2026-10-24T23:30:00Z", "opens at 2026-10-25T00:30"],
    ["01:00-02:30", "2026-10-25T00:10:00Z", "open until 2026-10-25T00:30"],
    ["01:00-02:30", "2026-10-25T00:45:00Z", "opens at 2026-10-26T00:00"],
    ["02:30-05:00", "2026-10-25T01:10:00Z", "open until 2026-10-25T04:00"],
  ])("%s on the day an hour comes twice, at %s: %s", (window, now, expected) => {
    expect(stateAt(window, "Europe/Berlin", now)).toBe(expected);
  });
});
