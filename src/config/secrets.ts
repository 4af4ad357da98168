// Which keys hold secrets, by their names, so that no message and no output shows one.
// Errs on the side of hiding.

const secretName =
  /secret|password|passwd|token|credential|private|apikey|accesskey|licensekey|signingkey|^key$|accountkey|authorization/i;

export function isSecretKey(key: string): boolean {
  return secretName.test(key);
}

export const mask = "********";

/** What stands before the host of a URL may be a password, and so may the value of any parameter. */
export function maskPassword(uri: string): string {
  return maskParameters(uri.replace(/\/\/[^/?#]*@/, `//${mask}@`));
}

/** The same of what may be no URL, since somebody has written it wrong: whatever may be a login is hidden. */
export function maskLogin(text: string): string {
  return maskParameters(text.replace(/^([a-z][\w+.-]*:\/\/)?.*@/is, `$1${mask}@`));
}

function maskParameters(uri: string): string {
  return uri.replace(/([?&][^=&#]*=)[^&#]*/g, `$1${mask}`);
}
