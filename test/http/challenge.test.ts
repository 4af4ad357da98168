// The server that a CA asks: tokens, and nothing else.
import { describe, expect, test } from "bun:test";
import { startChallengeServer } from "../../src/http/index.ts";
import { RawConnection, rawAnswer } from "./harness.ts";

const token = "a".repeat(43);

async function started(host: string | null = null) {
  const server = await startChallengeServer(
    { kind: "tcp", hostname: "127.0.0.1", port: 0 },
    {
      answerTo: (asked) => (asked === token ? `${token}.thumbprint` : null),
      hosts: ["r.example.com", "m.example.com"],
      host,
    },
  );
  const ask = (target: string, { method = "GET", as = "r.example.com", more = "" } = {}) =>
    rawAnswer(server.port, `${method} ${target} HTTP/1.1\r\nHost: ${as}\r\n${more}\r\n`, {
      head: method === "HEAD",
    });
  return { server, ask, [Symbol.asyncDispose]: () => server.stop() };
}

describe("the server that a CA asks", () => {
  test("answers the tokens that there are", async () => {
    await using asked = await started();
    const { status, headers, body } = await asked.ask(`/.well-known/acme-challenge/${token}`);
    expect([status, body, headers.get("content-type")]).toEqual([
      200,
      `${token}.thumbprint`,
      "application/octet-stream",
    ]);
    // Whatever the CA calls the host: it may come through a proxy.
    const other = await asked.ask(`/.well-known/acme-challenge/${token}`, { as: "10.0.0.1" });
    expect(other.status).toBe(200);
  });

  test.each([`${token}x`, "", "..%2F..", `${token}/x`, "a".repeat(257), "%00"])(
    "knows no other token: %p",
    async (other) => {
      await using asked = await started();
      const path = `/.well-known/acme-challenge/${other}`;
      expect((await asked.ask(path)).status).toBe(404);
      expect((await asked.ask(path, { method: "HEAD" })).status).toBe(404);
    },
  );

  test("sends everybody else to https, at the host that they named if it is ours", async () => {
    await using asked = await started();
    const to = async (target: string, as?: string) => {
      const { status, headers } = await asked.ask(target, as === undefined ? {} : { as });
      return `${status} ${headers.get("location")}`;
    };
    expect(await to("/v2/?a=b")).toBe("302 https://r.example.com/v2/?a=b");
    expect(await to("/", "M.Example.com:80")).toBe("302 https://m.example.com/");
    expect(await to("//evil.example.com/")).toBe("302 https://r.example.com//evil.example.com/");
    expect(await to("/", "evil.example.com")).toBe("404 null");
    expect(await to("/", "r.example.com.evil.com")).toBe("404 null");
  });

  test("sends them to http.host, where that is configured", async () => {
    await using asked = await started("https://r.example.com:8443");
    const { headers } = await asked.ask("/v2/", { as: "anything" });
    expect(headers.get("location")).toBe("https://r.example.com:8443/v2/");
  });

  test("sends nobody to an http.host without TLS, which would be itself", async () => {
    await using asked = await started("http://r.example.com");
    const { headers } = await asked.ask("/v2/");
    expect(headers.get("location")).toBe("https://r.example.com/v2/");
  });

  test("takes nothing: no password is asked for and no layer read", async () => {
    await using asked = await started();
    for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
      const more = "Content-Length: 5\r\n";
      const { status, headers } = await asked.ask("/v2/", { method, more });
      expect([status, headers.get("connection")]).toEqual([400, "close"]);
    }
  });

  test("waits for nobody", async () => {
    await using asked = await started();
    const connection = await RawConnection.open(asked.server.port);
    connection.send("GET / HTTP/1.1\r\nHo");
    const startMs = performance.now();
    await connection.closed();
    expect(performance.now() - startMs).toBeLessThan(25_000);
  }, 30_000);
});
