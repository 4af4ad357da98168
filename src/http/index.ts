// The HTTP side: the only room that knows HTTP. compose/ starts it over a Registry.
export type { Access } from "./context.ts";
export { startDebugServer } from "./debug-server.ts";
export { Limits } from "./limits/limits.ts";
export type { LimitsOptions } from "./limits/options.ts";
export { bodySilenceMs, type HttpOptions } from "./options.ts";
export type { AccessEntry, LogFields, MetricsText, RequestObserver } from "./ports.ts";
export { ServingReadiness } from "./readiness.ts";
export { type RegistryServer, type RunningServer, startServer } from "./server.ts";
export { certificateFiles, clientCaFiles, type Watching } from "./file-source.ts";
export type { CertificateSource, TlsCertificate, TlsParts } from "./tls.ts";
export type {
  ApiParts,
  CollectionControl,
  CollectionRequest,
  VerificationControl,
} from "./api/ports.ts";
export { startChallengeServer } from "./challenge-server.ts";
