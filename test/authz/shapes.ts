// The rules under which everybody is asked everything: each shape that docs/access.md knows.
import type { Rule, Setting } from "./oracle.ts";

export interface Shape extends Setting {
  readonly name: string;
}

/** All that there is; the image in each is another. */
export const repositories = [
  "public/app",
  "team-a/app",
  "team-a/secret",
  "team-b/app",
  "drop/box",
  "lone",
] as const;

const everything = ["pull", "push", "delete"] as const;

function shape(name: string, rules: readonly Rule[] | null, groups = {}): Shape {
  return { name, rules, groups };
}

export const shapes: readonly Shape[] = [
  shape("no rules", null),
  shape("an empty list", []),
  shape("everybody pulls the public", [
    { repositories: ["public/**"], users: ["*"], actions: ["pull"] },
  ]),
  shape(
    "the documented ones",
    [
      { repositories: ["public/**"], users: ["*"], actions: ["pull"] },
      { repositories: ["team-a/**"], users: ["ben", "group:a"], actions: everything },
      { repositories: ["team-b/**"], users: ["ann"], actions: ["pull"] },
      { users: ["ada"], actions: ["admin"] },
    ],
    { a: ["gus", "dan"] },
  ),
  shape("globs", [
    { repositories: ["team-?/app"], users: ["ann"], actions: ["pull"] },
    { repositories: ["{public,drop}/*"], users: ["ben"], actions: ["pull", "push"] },
    { repositories: ["**", "!team-a/secret"], users: ["gus"], actions: everything },
    { repositories: ["!team-*/**"], users: ["dan"], actions: ["delete"] },
    { repositories: ["*"], users: ["*"], actions: ["pull"] },
  ]),
  shape("several rules for one, the narrower ones first and last", [
    { repositories: ["team-a/app"], users: ["ann"], actions: ["pull"] },
    { repositories: ["**"], users: ["ann"], actions: ["push"] },
    { repositories: ["team-a/**"], users: ["ann", "ben"], actions: ["delete"] },
    { repositories: ["**"], users: ["ben"], actions: ["pull"] },
    { repositories: ["drop/box"], users: ["*"], actions: ["push"] },
    { repositories: ["drop/**"], users: ["group:none", "ben"], actions: ["push"] },
  ]),
  shape("admins alone", [{ users: ["ada", "group:ops"], actions: ["admin"] }], { ops: ["gus"] }),
  shape("everybody may everything", [{ repositories: ["**"], users: ["*"], actions: everything }]),
  shape("push without pull, delete without pull", [
    { repositories: ["team-a/**"], users: ["ben"], actions: ["push"] },
    { repositories: ["team-a/**"], users: ["dan"], actions: ["delete"] },
    { repositories: ["team-a/**"], users: ["ann"], actions: ["pull"] },
  ]),
].map((one) => ({ ...one, groups: { none: [], ...one.groups } }));

export function yamlOf({ rules, groups }: Setting): string {
  const access = rules === null ? "" : `access: ${JSON.stringify(rules)}\n`;
  return `${access}groups: ${JSON.stringify(groups)}`;
}
