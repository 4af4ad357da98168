// The races over a manifest on its way out whose layers all stay: see matrix.ts. A file of its own, so that
// shapes run in parallel.
import { defineRaces } from "./matrix.ts";

defineRaces("manifest");
