// Who asks, and what they may do. Decides; knows no HTTP. compose/access.ts puts it together.
export { BearerTokens } from "./bearer-tokens.ts";
export {
  addUser,
  checkUserName,
  HtpasswdError,
  readHtpasswd,
  removeUser,
} from "./htpasswd-edit.ts";
export { type AuthLog, HtpasswdFile } from "./htpasswd-file.ts";
export { issuerAlgorithm, IssuerKeys } from "./issuer-keys.ts";
export { OwnIssuer } from "./own-issuer.ts";
export { Logins, PasswordAccess } from "./password-access.ts";
export { Passwords } from "./passwords.ts";
export { Policy } from "./policy.ts";
export { RobotTokens } from "./robot-tokens.ts";
export { AccessRules } from "./rules.ts";
export { TokenAccess } from "./token-access.ts";
export {
  runTokenCommand,
  tokenCommandBy,
  type TokenCommand,
  type TokenEvent,
  type TokenView,
} from "./token-commands.ts";
export { TrustedKeys } from "./trusted-keys.ts";
