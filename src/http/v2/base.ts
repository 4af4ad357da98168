// GET / says that the server is alive, GET /v2/ that it speaks this API.
import type { Endpoint } from "../context.ts";
import { emptyReply, jsonType, textReply } from "../reply.ts";
import type { PlainRoute } from "../route.ts";

const alive = () => emptyReply(200, { "Cache-Control": "no-cache" });
const base = () => textReply(200, "{}", { "Content-Type": jsonType });

export const rootEndpoint: Endpoint<PlainRoute> = { methods: { GET: alive, HEAD: alive } };
export const baseEndpoint: Endpoint<PlainRoute> = { methods: { GET: base, HEAD: base } };
