import { describe, expect, test } from "bun:test";
import { problemsIn } from "../../test/config/problems.ts";
import { loadConfig } from "./load.ts";
import { renderConfig } from "./render.ts";

const load = (tls: string, env: Record<string, string> = {}) => {
  const text = `version: 0.1\nstorage: inmemory\nhttp: {tls: ${tls}}\n`;
  return loadConfig({ path: "config.yml", env, readFile: () => text });
};
const problem = (tls: string): string => problemsIn(() => load(tls)).join("\n");

describe("http.tls.letsencrypt", () => {
  test("cachefile and hosts are enough", () => {
    const { config, warnings } = load("{letsencrypt: {cachefile: /acme, hosts: [R.Example.com.]}}");
    expect(warnings).toEqual([]);
    expect(config.http.tls).toMatchObject({
      certificate: "",
      key: "",
      letsEncrypt: {
        cacheDirectory: "/acme",
        email: "",
        hosts: ["r.example.com"],
        directoryUrl: "https://acme-v02.api.letsencrypt.org/directory",
        challengeListen: { kind: "tcp", hostname: null, port: 80 },
      },
      minimumVersion: "tls1.2",
    });
  });

  test("every key, by variables, and read back from what is printed", () => {
    const { config } = load("{letsencrypt: {}}", {
      REGISTRY_HTTP_TLS_LETSENCRYPT_CACHEFILE: "/acme",
      REGISTRY_HTTP_TLS_LETSENCRYPT_EMAIL: "ops@example.com",
      REGISTRY_HTTP_TLS_LETSENCRYPT_HOSTS: "[a.example.com, b.example.com, a.example.com]",
      REGISTRY_HTTP_TLS_LETSENCRYPT_DIRECTORYURL: "https://127.0.0.1:14000/dir",
      REGISTRY_HTTP_TLS_LETSENCRYPT_CHALLENGEADDR: "127.0.0.1:8080",
      REGISTRY_HTTP_TLS_MINIMUMTLS: "tls1.3",
    });
    expect(config.http.tls?.minimumVersion).toBe("tls1.3");
    expect(config.http.tls?.letsEncrypt).toEqual({
      cacheDirectory: "/acme",
      email: "ops@example.com",
      hosts: ["a.example.com", "b.example.com"],
      directoryUrl: "https://127.0.0.1:14000/dir",
      challengeListen: { kind: "tcp", hostname: "127.0.0.1", port: 8080 },
    });
    const text = renderConfig(config);
    const again = loadConfig({ path: "config.yml", env: {}, readFile: () => text });
    expect(again.warnings).toEqual([]);
    expect(again.config.http.tls).toEqual(config.http.tls);
  });

  test("without cachefile it is off, as in the classic, and warned about", () => {
    for (const off of ["{}", "{cachefile: ''}", "{challengeaddr: ':80'}"]) {
      expect(load(`{letsencrypt: ${off}}`)).toMatchObject({
        config: { http: { tls: null } },
        warnings: [],
      });
    }
    for (const keys of ["hosts: [a.example.com]", "email: a@example.com"]) {
      const { config, warnings } = load(`{letsencrypt: {${keys}}}`);
      expect(config.http.tls).toBeNull();
      expect(warnings).toHaveLength(1);
      expect(warnings[0]).toContain("has no effect without http.tls.letsencrypt.cachefile");
    }
  });

  test.each([
    ["cachefile: /a", "http.tls.letsencrypt.hosts"],
    ["cachefile: /a, hosts: ['*.example.com']", "http.tls.letsencrypt.hosts.0: "],
    ["cachefile: /a, hosts: [127.0.0.1]", "http.tls.letsencrypt.hosts.0: "],
    ["cachefile: /a, hosts: [localhost]", "http.tls.letsencrypt.hosts.0: "],
    ["cachefile: /a, hosts: ['../etc/passwd']", "http.tls.letsencrypt.hosts.0: "],
    ["cachefile: /a, hosts: ['https://r.example.com']", "http.tls.letsencrypt.hosts.0: "],
    ["cachefile: /a, hosts: [a.b], email: nobody", "http.tls.letsencrypt.email: "],
    ["cachefile: /a, hosts: [a.b], directoryurl: 'http://x/'", "letsencrypt.directoryurl: "],
    ["cachefile: /a, hosts: [a.b], challengeaddr: 80", "letsencrypt.challengeaddr: "],
  ])("{%s} is an error", (keys, expected) => {
    expect(problem(`{letsencrypt: {${keys}}}`)).toContain(expected);
  });

  test("beside files of a certificate it is an error, as in the classic", () => {
    const both = "{certificate: /c, key: /k, letsencrypt: {cachefile: /a, hosts: [a.b]}}";
    expect(problem(both)).toContain("http.tls.letsencrypt: cannot be used beside http.tls.cert");
  });

  test("clients can be asked for certificates", () => {
    const { config } = load("{clientcas: [/ca], letsencrypt: {cachefile: /a, hosts: [a.b]}}");
    expect(config.http.tls?.clientCas).toEqual(["/ca"]);
  });
});
