// The lists of names: repositories, and the tags of one.
import { NameUnknownError, type RepositoryName, type Tag } from "../oci/index.ts";
import type { Page } from "./ports/index.ts";
import type { Catalog } from "./registry.ts";
import type { ServiceParts } from "./services.ts";

export class CatalogService implements Catalog {
  readonly #parts: ServiceParts;

  constructor(parts: ServiceParts) {
    this.#parts = parts;
  }

  listRepositories(page: Page): Promise<readonly RepositoryName[]> {
    return this.#parts.index.listRepositories(page);
  }

  async listTags(repository: RepositoryName, page: Page): Promise<readonly Tag[]> {
    const { index, treeLookup } = this.#parts;
    let tags = await index.listTags(repository, page);
    if (tags === null && (await treeLookup()?.repository(repository)) === true) {
      tags = await index.listTags(repository, page);
    }
    if (tags !== null) return tags;
    throw new NameUnknownError(`there is no repository ${repository}`, {
      detail: { name: repository },
    });
  }
}
