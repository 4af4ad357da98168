// The races over a referrer on its way out: see matrix.ts. A file of its own, so that shapes run in parallel.
import { defineRaces } from "./matrix.ts";

defineRaces("referrer");
