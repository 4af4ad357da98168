// Names and values of log fields as text: safe names, no secrets, bounded length. Never throws.

export const valueCharactersMax = 8 * 1024;
const causesMax = 4;

const secretName = /password|passwd|secret|authorization|cookie|credential|(?:^|[._-])token$/i;
const uriName = /(?:^|[._-])(?:ur[il]|referr?er)$/i;
const mask = "********";

export interface FieldName {
  readonly text: string;
  readonly secret: boolean;
  /** A URL, or what is asked for: a part of it may be a secret. */
  readonly isUri: boolean;
}

/** A name that cannot be taken for two, and what is known about it. */
export function fieldName(name: string, reserved: ReadonlySet<string>): FieldName {
  const safe = name.slice(0, 128).replace(/[^\p{L}\p{N}._@:/-]/gu, "_");
  const text = reserved.has(safe) ? `fields.${safe}` : safe;
  return { text, secret: secretName.test(name), isUri: uriName.test(name) };
}

/** Text, or the number, boolean or null itself. */
export function fieldValue(value: unknown, name: FieldName): string | number | boolean | null {
  if (name.secret && value !== "" && value !== null) return mask;
  if (typeof value === "string") {
    return clip(name.isUri ? maskUri(value) : value, valueCharactersMax);
  }
  if (typeof value === "number" || typeof value === "boolean" || value === null) return value;
  return clip(describe(value), valueCharactersMax);
}

const login = /(:\/\/)[^/?#@]*@/;
const secretParameter = /token|password|secret|signature|credential/i;

/**
 * Without what stands before the host of a URL, and without the values of parameters that look like
 * secrets. In one pass: everybody waits while a query is masked.
 */
export function maskUri(uri: string): string {
  const masked = uri.includes("@") ? uri.replace(login, `$1${mask}@`) : uri;
  const question = masked.indexOf("?");
  if (question === -1) return masked;
  const parameters = masked.slice(question + 1).split("&");
  return `${masked.slice(0, question)}?${parameters.map(maskParameter).join("&")}`;
}

function maskParameter(parameter: string): string {
  const equals = parameter.indexOf("=");
  if (equals === -1 || !secretParameter.test(parameter.slice(0, equals))) return parameter;
  return parameter.slice(0, equals + 1) + mask;
}

/** Cut where it is too long, with a mark that says how much is missing. */
export function clip(text: string, charactersMax: number): string {
  if (text.length <= charactersMax) return text;
  return `${text.slice(0, charactersMax)}…(${text.length - charactersMax} more characters)`;
}

function describe(value: unknown): string {
  if (value instanceof Error) return describeError(value);
  try {
    const text: unknown = typeof value === "bigint" ? value.toString() : JSON.stringify(value);
    return typeof text === "string" ? text : typeof value;
  } catch {
    // A cycle, a bigint inside, a throwing toJSON: logging must not fail on what is logged.
    return "(cannot be shown)";
  }
}

function describeError(error: Error): string {
  const messages: string[] = [];
  let current: unknown = error;
  while (current instanceof Error && messages.length < causesMax) {
    messages.push(current.message === "" ? current.name : current.message);
    current = current.cause;
  }
  return messages.join(": ");
}
