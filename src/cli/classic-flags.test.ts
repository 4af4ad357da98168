import { expect, test } from "bun:test";
import { withPlainSwitches } from "./classic-flags.ts";

const switches = [
  { long: "--dry-run", short: "-d" },
  { long: "--delete-untagged", short: "-m" },
  { long: "--json" },
];

test.each([
  ["--delete-untagged=true", ["--delete-untagged"]],
  ["--dry-run=1", ["--dry-run"]],
  ["--json=T", ["--json"]],
  ["--dry-run=false", []],
  ["-m=true", ["-m"]],
  ["-m=0", []],
  ["-dm=true", ["-dm"]],
  ["-dm=false", ["-d"]],
])("%s", (argument, expected) => {
  const around = withPlainSwitches(["-q", argument, "config.yml"], switches);
  expect(around).toEqual(["-q", ...expected, "config.yml"]);
});

test.each(["--dry-run=maybe", "--grace=0", "--unknown=true", "-x=true", "a=true", "--dry-run="])(
  "%s is left for the parser",
  (argument) => {
    expect(withPlainSwitches([argument], switches)).toEqual([argument]);
  },
);

test("nothing behind -- is a flag", () => {
  const argv = ["-d=true", "--", "--dry-run=true"];
  expect(withPlainSwitches(argv, switches)).toEqual(["-d", "--", "--dry-run=true"]);
});
