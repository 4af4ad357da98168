import { describe, expect, test } from "bun:test";
import { problemsIn } from "../../test/config/problems.ts";
import { defaults } from "./defaults.ts";
import { loadConfig } from "./load.ts";
import { renderConfig } from "./render.ts";
import { opensslSuites } from "./tls-section.ts";

const load = (tls: string, env: Record<string, string> = {}) => {
  const text = `version: 0.1\nstorage: inmemory\nhttp: {tls: ${tls}}\n`;
  return loadConfig({ path: "config.yml", env, readFile: () => text });
};
const tlsOf = (tls: string, env = {}) => load(tls, env).config.http.tls;
const problem = (tls: string): string => problemsIn(() => load(tls)).join("\n");
const pair = "certificate: /c.pem, key: /k.pem";

describe("http.http2 and http.h2c", () => {
  const of = (http: string) => {
    const text = `version: 0.1\nstorage: inmemory\nhttp: {${http}}\n`;
    return loadConfig({ path: "config.yml", env: {}, readFile: () => text });
  };

  test.each(["http2: {enabled: true}", "h2c: {enabled: true}"])("%s says why not", (http) => {
    const key = http.replace(/: \{.*/, ".enabled");
    expect(() => of(http)).toThrow(
      `line 3: http.${key}: HTTP/2 is not offered: the runtime cuts uploads off`,
    );
  });

  test.each([
    "http2: {enabled: false}",
    "http2: {disabled: true}",
    "h2c: {enabled: false}",
    "h2c: {}",
  ])("%s is what is done anyway", (http) => {
    expect(of(http).warnings).toEqual([]);
  });
});

describe("http.tls", () => {
  test("is off without a certificate, as in the classic registry", () => {
    for (const off of ["", "{}", "{certificate: '', key: ''}", "{minimumtls: tls1.3}"]) {
      expect(tlsOf(off)).toBeNull();
    }
  });

  test("with certificate and key alone has the classic's defaults", () => {
    const { tls } = defaults.http;
    expect(tlsOf(`{${pair}}`)).toEqual({
      certificate: "/c.pem",
      key: "/k.pem",
      letsEncrypt: null,
      clientCas: [],
      ...tls,
    });
    expect(tls.minimumVersion).toBe("tls1.2");
    expect(opensslSuites(tls.cipherSuites)).toEqual([
      "ECDHE-ECDSA-AES256-GCM-SHA384",
      "ECDHE-RSA-AES256-GCM-SHA384",
      "ECDHE-ECDSA-CHACHA20-POLY1305",
      "ECDHE-RSA-CHACHA20-POLY1305",
      "ECDHE-ECDSA-AES128-GCM-SHA256",
      "ECDHE-RSA-AES128-GCM-SHA256",
    ]);
  });

  test("by variables", () => {
    const tls = tlsOf("{}", {
      REGISTRY_HTTP_TLS_CERTIFICATE: "/c",
      REGISTRY_HTTP_TLS_KEY: "/k",
      REGISTRY_HTTP_TLS_CLIENTCAS_0: "/ca",
      REGISTRY_HTTP_TLS_CLIENTAUTH: "request-client-cert",
      REGISTRY_HTTP_TLS_MINIMUMTLS: "tls1.3",
      REGISTRY_HTTP_TLS_CIPHERSUITES: "[TLS_RSA_WITH_AES_128_GCM_SHA256]",
    });
    expect(tls).toEqual({
      certificate: "/c",
      key: "/k",
      letsEncrypt: null,
      clientCas: ["/ca"],
      clientAuth: "request-client-cert",
      minimumVersion: "tls1.3",
      cipherSuites: ["TLS_RSA_WITH_AES_128_GCM_SHA256"],
    });
  });

  test("as the effective configuration shows it can be read again, the path of the key too", () => {
    const { config } = load(`{${pair}, clientcas: [/ca], minimumtls: tls1.0}`);
    const text = renderConfig(config);
    expect(text).toContain("key: /k.pem");
    const again = loadConfig({ path: "config.yml", env: {}, readFile: () => text });
    expect(again.config.http.tls).toEqual(config.http.tls);
  });

  test("of TLS 1.3 nothing can be chosen; alone, its suites leave no older version", () => {
    const tls = tlsOf(`{${pair}, ciphersuites: [TLS_AES_128_GCM_SHA256]}`);
    expect(tls?.minimumVersion).toBe("tls1.3");
  });

  test("clientauth without clientcas has no effect, and is warned about", () => {
    const { config, warnings } = load(`{${pair}, clientauth: request-client-cert}`);
    expect(config.http.tls?.clientAuth).toBe("require-and-verify-client-cert");
    expect(warnings).toEqual([
      'line 3: http.tls.clientauth: "request-client-cert" has no effect without http.tls.clientcas, as in the classic registry',
    ]);
  });

  test.each([
    ["{certificate: /c}", "http.tls.key: is needed as well as http.tls.certificate"],
    ["{key: /k}", "http.tls.certificate: is needed as well as http.tls.key"],
    ["{clientcas: [/ca]}", "http.tls.certificate: is needed as well as http.tls.clientcas"],
    [`{${pair}, clientcas: ['']}`, 'http.tls.clientcas.0: "" is not valid; expected the path'],
    [`{${pair}, minimumtls: ssl3}`, 'http.tls.minimumtls: "ssl3" is not valid; expected one of'],
    [`{${pair}, clientauth: maybe}`, 'http.tls.clientauth: "maybe" is not valid; expected require'],
    [
      `{${pair}, clientcas: [/ca], clientauth: require-any-client-cert}`,
      "http.tls.clientauth: require-any-client-cert cannot be done here; use require-and-verify",
    ],
    [
      `{${pair}, ciphersuites: [TLS_RSA_WITH_RC4_128_SHA]}`,
      'http.tls.ciphersuites.0: "TLS_RSA_WITH_RC4_128_SHA" is not valid; expected one of TLS_RSA_WITH_AES_128_CBC_SHA, ',
    ],
    [
      `{${pair}, ciphersuites: [TLS_RSA_WITH_3DES_EDE_CBC_SHA]}`,
      "expected a stronger one: suites with 3DES are not offered",
    ],
  ])("%s is an error", (tls, expected) => {
    expect(problem(tls)).toContain(expected);
    expect(problem(tls)).toStartWith("line 3: ");
  });
});
