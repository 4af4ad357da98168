// Every kind of caller who sends a password, or nothing: how each says who it is, and who it is.
import type { Action, Caller, Who } from "./oracle.ts";
import { command, type Place, users } from "./guarded-registry.ts";

export function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}

export interface MadeRobot {
  readonly id: string;
  readonly password: string;
  readonly who: Extract<Who, { kind: "robot" }>;
}

type Actions = readonly (Action | "admin")[];

const nobody: Who = { kind: "nobody" };
const refused: Who = { kind: "refused" };

function caller(name: string, authorization: string | null, who: Who): Caller {
  return { name, authorization, who, claims: null };
}

export async function makeRobot(
  place: Place,
  asked: {
    readonly user: string;
    readonly repositories: readonly string[];
    readonly actions: Actions;
    readonly lifeMs?: number;
  },
): Promise<MadeRobot> {
  const { user, repositories, actions, lifeMs = null } = asked;
  const options = { kind: "create", user, repositories, actions, lifeMs };
  const [created] = (await command(place, { command: "token", options })) as [
    { readonly token: { readonly id: string }; readonly password: string },
  ];
  const who = { kind: "robot", name: user, repositories, actions } as const;
  return { id: created.token.id, password: created.password, who };
}

export async function revoke(place: Place, id: string): Promise<void> {
  await command(place, { command: "token", options: { kind: "revoke", id } });
}

/** The root is there, and nobody needs to serve it. */
export async function passwordCallers(place: Place): Promise<readonly Caller[]> {
  const robots = await robotCallers(place);
  return [
    caller("nobody", null, nobody),
    caller("somebody whose header is no credentials", "Basic %%%", nobody),
    caller("somebody with another scheme", "Negotiate abcd", nobody),
    caller("ann with a wrong password", basic("ann", "pw2"), refused),
    caller("ann without a password", basic("ann", ""), refused),
    caller("a user who is not in the file", basic("eve", "pw"), refused),
    caller("a token that nobody issued", "Bearer abc.def.ghi", refused),
    ...users.map((user) => caller(user, basic(user, "pw"), { kind: "user", name: user })),
    ...robots,
  ];
}

async function robotCallers(place: Place): Promise<readonly Caller[]> {
  const ofTeamA = async (...actions: Actions): Promise<MadeRobot> => {
    const isAdmin = actions.includes("admin");
    const repositories = isAdmin && actions.length === 1 ? [] : ["team-a/**"];
    return await makeRobot(place, { user: "ci", repositories, actions });
  };
  const as = (name: string, { password, who }: MadeRobot): Caller => {
    return caller(name, basic(who.name, password), who);
  };
  const all = await ofTeamA("pull", "push", "delete");
  const elsewhere = await makeRobot(place, {
    user: "ci",
    repositories: ["**", "!team-a/**"],
    actions: ["pull", "push", "delete"],
  });
  const namesake = await makeRobot(place, {
    user: "ben",
    repositories: ["lone"],
    actions: ["pull"],
  });
  const everything = {
    user: "ci",
    repositories: ["**"],
    actions: ["pull", "push", "delete", "admin"],
  } as const;
  const expired = await makeRobot(place, { ...everything, lifeMs: 1 });
  const revoked = await makeRobot(place, everything);
  await revoke(place, revoked.id);
  const secret = all.password.slice(-43);
  return [
    as("a robot that pulls", await ofTeamA("pull")),
    as("a robot that pulls and pushes", await ofTeamA("pull", "push")),
    as("a robot that deletes", await ofTeamA("delete")),
    as("a robot that administers", await ofTeamA("admin")),
    as("a robot that may everything in team-a", all),
    as("a robot that may everything but in team-a", elsewhere),
    as("a robot with a user's name and less rights", namesake),
    caller("a robot whose time is over", basic("ci", expired.password), refused),
    caller("a robot that was revoked", basic("ci", revoked.password), refused),
    caller("a robot's secret under a user's name", basic("ada", all.password), refused),
    caller(
      "a robot's secret under another id",
      basic("ci", `plimsoll_${revoked.id}_${secret}`),
      refused,
    ),
    caller("a robot's id with another secret", basic("ci", all.password.slice(0, -1)), refused),
    caller("a robot's secret as a token", `Bearer ${all.password}`, refused),
  ];
}
