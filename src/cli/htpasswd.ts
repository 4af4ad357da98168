// `registry htpasswd add|remove|check FILE USER`: manages the file of auth.htpasswd. A running server
// takes a change in by itself. Passwords come from a prompt or from stdin.
import {
  addUser,
  checkUserName,
  HtpasswdError,
  Passwords,
  readHtpasswd,
  removeUser,
} from "../auth/index.ts";
import { readNewPassword, readPassword } from "./read-password.ts";

export interface HtpasswdArguments {
  readonly file: string;
  readonly user: string;
}

export function runHtpasswdAdd({ file, user }: HtpasswdArguments): Promise<number> {
  return orSay(async () => {
    checkUserName(user);
    const isNew = await addUser(file, user, await readNewPassword(`New password for ${user}`));
    say(isNew ? `${user} is added to ${file}` : `the password of ${user} is changed`);
    return 0;
  });
}

export function runHtpasswdRemove({ file, user }: HtpasswdArguments): Promise<number> {
  return orSay(async () => {
    // A file that is not there is not made for this.
    readHtpasswd(file);
    if (!removeUser(file, user)) {
      say(`${file} does not name ${user}`);
      return 1;
    }
    say(`${user} is removed from ${file}`);
    return 0;
  });
}

export function runHtpasswdCheck({ file, user }: HtpasswdArguments): Promise<number> {
  return orSay(async () => {
    const { hashes } = readHtpasswd(file);
    if (!hashes.has(user)) {
      say(`${file} does not name ${user} with a bcrypt hash`);
      return 1;
    }
    const passwords = new Passwords({ version: 0, hashes }, { now: Date.now });
    const isRight = await passwords.areRight(user, await readPassword(`Password of ${user}`));
    say(isRight ? "the password is right" : "the password is wrong");
    return isRight ? 0 : 1;
  });
}

async function orSay(work: () => Promise<number>): Promise<number> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof HtpasswdError || error instanceof Error) say(error.message);
    else throw error;
    return 1;
  }
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}
