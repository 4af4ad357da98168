// What an operation of the API needs of whoever asks. What is about one repository needs what the OCI
// endpoints need for the like; everything else, and whatever is new and not named here, is for admins,
// who may use the whole API. Docs: docs/access.md.
import { isRepositoryName, type NameGlobs, parseRepositoryName } from "../../oci/index.ts";
import type { Grant, RepositoryAction, Wanted } from "../../registry/ports/access.ts";
import { granted } from "../authorize.ts";
import { credentialsOf } from "../credentials.ts";
import type { Env } from "../context.ts";
import { HttpError } from "../http-error.ts";
import type { Operation } from "./operation.ts";

const repositoryActions: Readonly<Record<string, readonly RepositoryAction[]>> = {
  getRepository: ["pull"],
  listTags: ["pull"],
  getImage: ["pull"],
  listReferrers: ["pull"],
  getRepositoryUsage: ["pull"],
  getImageUsage: ["pull"],
  deleteTag: ["delete"],
  deleteImage: ["delete"],
  deleteRepository: ["delete"],
  restoreRepository: ["pull", "push"],
};

/** They show or count what the caller may pull, and nothing else. */
const lists: ReadonlySet<string> = new Set([
  "listRepositories",
  "listLargestRepositories",
  "listLargestTags",
  "listLargestBlobs",
  "getUsageByAge",
  "previewDeletion",
]);

const admin: Wanted = { kind: "admin" };

function wantedFor(
  operation: Pick<Operation, "id">,
  parameters: Readonly<Record<string, string>>,
): Wanted {
  if (lists.has(operation.id)) return { kind: "catalog" };
  const actions = repositoryActions[operation.id];
  const { name } = parameters;
  if (actions === undefined || name === undefined) return admin;
  return { kind: "repository", repository: parseRepositoryName(name), actions };
}

export interface Guarded {
  readonly request: Request;
  /** Null: the description of the API, for whoever is known. */
  readonly operation: Pick<Operation, "id"> | null;
  readonly parameters: Readonly<Record<string, string>>;
  readonly caller: string;
}

/** Null: everybody may do everything. @throws HttpError 401 or 403, NameInvalidError, UnavailableError */
export async function guard(env: Env, asked: Guarded): Promise<Grant | null> {
  const { access } = env;
  if (access === null) return null;
  const { request, operation, parameters, caller } = asked;
  const ask = (wanted: readonly Wanted[]): Promise<Grant> =>
    granted(env, access, { request, wanted, caller, byPassword: true });
  if (operation === null) return await ask([]);
  const wanted = wantedFor(operation, parameters);
  try {
    return await ask([wanted]);
  } catch (error) {
    if (!(error instanceof HttpError) || wanted === admin) throw error;
    if (!mayBeAdmin(request, error)) throw error;
    // Not as somebody with rights in that repository; perhaps as an admin. If not, the first reason is told.
    return await ask([admin]).catch(() => {
      throw error;
    });
  }
}

/** Nobody, or somebody whose password is wrong, is no admin: it is not checked twice. A token may say so. */
function mayBeAdmin({ headers }: Request, { status }: HttpError): boolean {
  return status !== 401 || credentialsOf(headers.get("authorization")).kind === "bearer";
}

/** Whether whoever asks gets to see the repository. */
export function sees(grant: Grant | null, repository: Parameters<Grant["may"]>[1]): boolean {
  return grant === null || grant.isAdmin || grant.may("pull", repository);
}

/** What a report is about: what was asked for, of what whoever asks may see. Null: everything. */
export function seenGlobs(grant: Grant | null, asked: NameGlobs | null): NameGlobs | null {
  const seen = grant === null || grant.isAdmin ? null : grant.seen;
  if (seen === null) return asked;
  return {
    patterns: asked?.patterns ?? [],
    matches: (name) =>
      asked?.matches(name) !== false && isRepositoryName(name) && seen.matches(name),
  };
}
