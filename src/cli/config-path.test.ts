import { describe, expect, test } from "bun:test";
import { ConfigPathError, findConfigPath } from "./config-path.ts";

const env = { REGISTRY_CONFIGURATION_PATH: "/variable.yml" };

describe("findConfigPath", () => {
  test("the argument first, then the variable", () => {
    expect(findConfigPath({ argument: "/argument.yml", env })).toBe("/argument.yml");
    expect(findConfigPath({ argument: undefined, env })).toBe("/variable.yml");
  });

  test("then the default places, the newer first", () => {
    const options = { argument: undefined, env: { REGISTRY_CONFIGURATION_PATH: "" } };
    expect(findConfigPath({ ...options, exists: () => true })).toBe("/etc/distribution/config.yml");
    const old = "/etc/docker/registry/config.yml";
    expect(findConfigPath({ ...options, exists: (path) => path === old })).toBe(old);
  });

  test("else an error that says what to do, with the classic's words", () => {
    const find = (): string =>
      findConfigPath({ argument: undefined, env: {}, exists: () => false });
    expect(find).toThrow(ConfigPathError);
    expect(find).toThrow("configuration error: configuration path unspecified");
    expect(find).toThrow("REGISTRY_CONFIGURATION_PATH");
  });
});
