// The worker thread that gets one certificate: speaks ACME (RFC 8555) with the CA, or makes a stand-in. A
// thread of its own, because the packages for that are large and needed for a few seconds in two months:
// they go with it, and so does whatever of a stopped order still waits for an answer.
import { createPrivateKey } from "node:crypto";
import { Client, crypto as acmeCrypto } from "acme-client";
import {
  cryptoProvider,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";
import type { TlsCertificate } from "../http/index.ts";
import { prepareRequests } from "./ca-requests.ts";
import type { FromOrderWorker, Order, ToOrderWorker } from "./order-messages.ts";

declare const self: Worker;

const standInMs = 365 * 24 * 3_600_000;

/** What has been told and is not dealt with yet, in that order: hosts are challenged side by side. */
const waiting: (() => void)[] = [];

self.onmessage = ({ data }: MessageEvent<ToOrderWorker>) => {
  if (data.kind === "taken") waiting.shift()?.();
  else void run(data);
};

async function run(job: Exclude<ToOrderWorker, { kind: "taken" }>): Promise<void> {
  try {
    const made = job.kind === "order" ? placed(job.order) : standIn(job.hosts);
    tell({ kind: "certificate", certificate: await made });
  } catch (error) {
    tell({ kind: "failed", message: error instanceof Error ? error.message : String(error) });
  }
}

function tell(message: FromOrderWorker): void {
  self.postMessage(message);
}

/** Waits until the main thread is ready for what follows from it. */
function told(message: FromOrderWorker): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    tell(message);
  });
}

async function placed(order: Order): Promise<TlsCertificate> {
  prepareRequests();
  const { directoryUrl, email, hosts } = order;
  if (order.accountKey !== null) checkAccountKey(order.accountKey);
  const accountKey = order.accountKey ?? String(await acmeCrypto.createPrivateEcdsaKey());
  if (order.accountKey === null) await told({ kind: "account", key: accountKey });
  const client = new Client({ directoryUrl, accountKey, backoffMin: 1_000, backoffMax: 15_000 });
  if (order.accountKey !== null && email === "") await findAccount(client);
  const key = await acmeCrypto.createPrivateEcdsaKey();
  const [, csr] = await acmeCrypto.createCsr({ altNames: [...hosts] }, key);
  const certificate = await client.auto({
    csr,
    ...(email === "" ? {} : { email }),
    termsOfServiceAgreed: true,
    challengePriority: ["http-01"],
    // From here the name may well lead somewhere else than for the CA.
    skipChallengeVerification: true,
    challengeCreateFn: async (_authorization, challenge, answer) => {
      if (challenge.type !== "http-01") throw new Error("the CA offers no challenge by HTTP");
      await told({ kind: "challenge", token: challenge.token, answer });
    },
    challengeRemoveFn: () => Promise.resolve(),
  });
  return { certificate, key: String(key) };
}

/**
 * Else the library sends an account that is there already an update of nothing, where no email is given,
 * and CAs refuse that.
 */
async function findAccount(client: Client): Promise<void> {
  try {
    await client.createAccount({ onlyReturnExisting: true });
  } catch {
    // There is none, as at another CA, and it will be made; whatever else is wrong will be told then.
  }
}

function checkAccountKey(key: string): void {
  try {
    createPrivateKey(key);
  } catch (cause) {
    const file = "acme_account+key in the directory of cachefile";
    throw new Error(`${file} is no key; without that file another account is made`, { cause });
  }
}

async function standIn(hosts: readonly string[]): Promise<TlsCertificate> {
  cryptoProvider.set(crypto);
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const nowMs = Date.now();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: [{ O: ["not certified yet"] }],
    keys,
    signingAlgorithm: algorithm,
    notBefore: new Date(nowMs),
    notAfter: new Date(nowMs + standInMs),
    extensions: [
      new SubjectAlternativeNameExtension(hosts.map((value) => ({ type: "dns", value }))),
    ],
  });
  const der = Buffer.from(await crypto.subtle.exportKey("pkcs8", keys.privateKey));
  const lines = der.toString("base64").replaceAll(/.{64}/g, "$&\n");
  const key = `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n`;
  return { certificate: certificate.toString("pem"), key };
}
