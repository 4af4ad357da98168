import { describe, expect, test } from "bun:test";
import { checkNames, splitTargets } from "./targets.ts";

describe("names of images, then the configuration", () => {
  test.each([
    [["app:v1", "config.yml"], ["app:v1"], "config.yml"],
    [["app", "./c"], ["app"], "./c"],
    [["app", "/etc/registry.YAML"], ["app"], "/etc/registry.YAML"],
    [["app", "team/app:v1"], ["app", "team/app:v1"], undefined],
    [["config.yml"], [], "config.yml"],
    [[], [], undefined],
  ])("%p", (given, names, path) => {
    expect(splitTargets(given)).toEqual({ names, path });
  });

  test("what is no name is refused before anything happens", () => {
    expect(() => {
      checkNames("delete", []);
    }).toThrow("nothing was named");
    expect(() => {
      checkNames("delete", ["app", "App:v1"]);
    }).toThrow('"App:v1" is not repository, repository:tag or repository@digest');
  });
});
