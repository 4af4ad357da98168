// Which keys hold secrets, by their names, so that no message and no output shows one.
// Errs on the side of hiding.

const secretName =
  /secret|password|passwd|token|credential|private|apikey|accesskey|licensekey|signingkey|^key$|accountkey|authorization/i;

export function isSecretKey(key: string): boolean {
  return secretName.test(key);
}
