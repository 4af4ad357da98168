// Certificates from a CA that speaks ACME. compose/acme.ts starts it; loaded only where it is configured.
export { CertificateCache } from "./certificate-cache.ts";
export { CertificateKeeper } from "./certificate-keeper.ts";
export { makeStandIn, placeOrder } from "./order.ts";
