// What a manifest refers to, as the classic registry tells it (`notifications.events.includereferences`): the
// descriptors that it holds, as they are written there. Source: distribution, Manifest.References().

/** Null: it is no JSON object. Bounded by the size of a manifest. */
export function referencesIn(manifest: Uint8Array): readonly object[] | null {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(manifest));
  } catch {
    return null;
  }
  if (!isObject(json)) return null;
  const { config, layers, manifests } = json;
  const listed = [config, ...listOf(layers), ...listOf(manifests)];
  return listed.filter(isObject).map(descriptorOf);
}

/** Its own fields, and nothing that a client has added; Go leaves out what is not set. */
function descriptorOf({ mediaType, size, digest, urls, annotations, platform }: Json): object {
  return { mediaType, size, digest, urls, annotations, platform };
}

type Json = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
