// Mutations of a request that leave it a request: another method, path, query, header, body, login. What
// changes the framing is wreck.ts's.
import { type Asked, withHeaders } from "./asked.ts";
import type { Chance } from "./chance.ts";
import { nastyJson } from "./manifests.ts";
import {
  forgedCredentials,
  nastyContentRanges,
  nastyDigests,
  nastyHeaders,
  nastyHostHeaders,
  nastyNames,
  nastyNumbers,
  nastyTags,
} from "./nasty.ts";

export function mutated(chance: Chance, asked: Asked, users: readonly string[]): Asked {
  let result = asked;
  for (let times = 1 + chance.below(3); times > 0; times -= 1) {
    result = chance.weighted(mutations)(chance, result, users);
  }
  return result;
}

type Mutation = (chance: Chance, asked: Asked, users: readonly string[]) => Asked;

const mutations: readonly (readonly [weight: number, mutation: Mutation])[] = [
  [10, path],
  [8, query],
  [8, header],
  [6, body],
  [3, method],
  [2, host],
  [4, login],
  [1, length],
];

const otherMethods: readonly string[] = (
  "GET HEAD POST PUT PATCH DELETE OPTIONS GET PUT DELETE " +
  "TRACE CONNECT PROPFIND LOCK SEARCH PURGE M-SEARCH get PoSt"
)
  .split(" ")
  .concat(["G\0T", "", "GET GET", "X".repeat(5_000), "é"]);

function method(chance: Chance, asked: Asked): Asked {
  return { ...asked, method: chance.pick(otherMethods) };
}

/** Bytes that would end the request line are encoded: such lines are wreck.ts's. */
function inLine(chance: Chance, text: string): string {
  if (chance.percent(3)) return text;
  return text
    .toWellFormed()
    .replaceAll(/[^\x21-\x7e]/gu, (character) => encodeURIComponent(character));
}

function path(chance: Chance, asked: Asked): Asked {
  const [before = "", ...after] = asked.target.split("?");
  const segments = before.split("/");
  const at = chance.below(segments.length);
  const piece = inLine(chance, chance.pick([...nastyNames, ...nastyDigests, ...nastyTags]));
  chance.pick([
    () => segments.splice(at, 1, piece),
    () => segments.splice(at, 0, piece),
    () => segments.splice(at, 1),
    () => segments.splice(at, 0, segments[at] ?? ""),
    () => segments.splice(at, 1, inLine(chance, chance.garble(segments[at] ?? ""))),
    () => segments.splice(at, 1, encodeEach(chance, segments[at] ?? "")),
    () =>
      segments.splice(
        1,
        0,
        ...chance.pick([
          ["v2", ".."],
          ["v2", "%2e%2e"],
          ["", ""],
        ]),
      ),
    () => segments.push(chance.pick(["", ".", "..", "%2e%2e", "..;", "%00"])),
  ])();
  const target = segments.join("/");
  return { ...asked, target: [target.startsWith("/") ? target : `/${target}`, ...after].join("?") };
}

function encodeEach(chance: Chance, text: string): string {
  return text.replaceAll(/[\0-\x7f]/g, (character) =>
    chance.percent(40) ? `%${character.charCodeAt(0).toString(16).padStart(2, "0")}` : character,
  );
}

const parameters: readonly string[] = (
  "n last digest mount from tag digest-algorithm _state artifactType scope service account " +
  "limit cursor search sort repositories of __proto__ by repository origin"
)
  .split(" ")
  .concat(["", "é"]);

function query(chance: Chance, asked: Asked): Asked {
  const value = chance.pick([...nastyNumbers, ...nastyNames, ...nastyDigests, ...nastyTags]);
  const name = chance.pick(parameters);
  const pair = inLine(
    chance,
    `${name}=${chance.percent(50) ? value : encodeURIComponent(value.toWellFormed())}`,
  );
  const [before = "", ...rest] = asked.target.split("?");
  const there = rest.join("?").split("&").filter(Boolean);
  const replaced = there.map((one) => (one.startsWith(`${name}=`) ? pair : one));
  const changed = chance.pick([
    () => (replaced.includes(pair) ? replaced : [...there, pair]),
    () => [pair, ...there],
    () => there.slice(1),
    () => there.map((one) => inLine(chance, chance.garble(one))),
    () => [...there, ...Array.from({ length: chance.pick([2, 20, 150]) }, () => pair.slice(0, 60))],
  ])();
  return { ...asked, target: changed.length === 0 ? before : `${before}?${changed.join("&")}` };
}

function header(chance: Chance, asked: Asked): Asked {
  const [name, values] = chance.pick(nastyHeaders);
  const value = chance.pick(values);
  const others = chance.percent(70)
    ? asked.headers.filter(([other]) => other.toLowerCase() !== name.toLowerCase())
    : asked.headers;
  const cased = chance.percent(20) ? name.toUpperCase() : name;
  return { ...asked, headers: [...others, [cased, Buffer.from(value).toString("latin1")]] };
}

function host(chance: Chance, asked: Asked): Asked {
  const others = asked.headers.filter(([name]) => name !== "Host");
  return { ...asked, headers: [["Host", chance.pick(nastyHostHeaders)], ...others] };
}

function login(chance: Chance, asked: Asked, users: readonly string[]): Asked {
  const others = asked.headers.filter(([name]) => name !== "Authorization");
  if (chance.percent(20)) return { ...asked, headers: others, credentials: "none" };
  const forged = forgedCredentials(chance, users);
  return withHeaders({ ...asked, headers: others, credentials: "forged" }, [
    "Authorization",
    forged,
  ]);
}

function body(chance: Chance, asked: Asked): Asked {
  const bytes = Buffer.from(asked.body ?? new Uint8Array(0));
  const changed = chance.pick([
    () => bytes.subarray(0, chance.below(bytes.length + 1)),
    () => Buffer.concat([bytes, chance.bytes(1 + chance.below(50))]),
    () => {
      for (let n = Math.min(bytes.length, 1 + chance.below(5)); n > 0; n -= 1) {
        bytes[chance.below(bytes.length)] = chance.below(256);
      }
      return bytes;
    },
    () => Buffer.from(nastyJson(chance)),
    () => Buffer.alloc(0),
    () => Buffer.alloc(chance.pick([65_536, 65_537, 200_000]), 97),
    () => Buffer.from(bytes.toString("latin1").replace(/\d+/, chance.pick(nastyNumbers))),
  ])();
  return { ...asked, body: changed };
}

/** A Content-Range beside whatever comes. */
function length(chance: Chance, asked: Asked): Asked {
  return withHeaders(asked, ["Content-Range", chance.pick(nastyContentRanges)]);
}
