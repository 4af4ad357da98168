// A daily window of time such as "01:00-05:00", and the zone in which its clock is read. Pure.

/** Minutes since midnight by the zone's clock. It ends on the next day when the end is the smaller one. */
export interface DailyWindow {
  readonly startMinute: number;
  readonly endMinute: number;
}

const pattern = /^([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|(24):(00))$/;

/** Null: not a window. One that begins when it ends would be never or always, and is refused. */
export function parseDailyWindow(text: string): DailyWindow | null {
  const [, fromHour, fromMinute, toHour = "24", toMinute = "00"] = pattern.exec(text) ?? [];
  if (fromHour === undefined) return null;
  const startMinute = Number(fromHour) * 60 + Number(fromMinute);
  const endMinute = (Number(toHour) * 60 + Number(toMinute)) % (24 * 60);
  return startMinute === endMinute ? null : { startMinute, endMinute };
}

export function formatDailyWindow({ startMinute, endMinute }: DailyWindow): string {
  return `${clockText(startMinute)}-${clockText(endMinute)}`;
}

function clockText(minute: number): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${two(Math.floor(minute / 60))}:${two(minute % 60)}`;
}

/** The zone's own name, or undefined when there is no such zone. */
export function parseTimeZone(text: string): string | undefined {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: text }).resolvedOptions().timeZone;
  } catch {
    // A RangeError: that is how the runtime says that it does not know the name.
    return undefined;
  }
}
