// The examples of the help of `htpasswd`, `token` and `access`. Text only.

export const htpasswdHelp = `
Examples:
  registry htpasswd add /auth/htpasswd alice             asks for the password twice
  printf '%s\\n' "$PASSWORD" | registry htpasswd add /auth/htpasswd alice
  registry htpasswd check /auth/htpasswd alice           exit code 0 when the password is right
  registry htpasswd remove /auth/htpasswd alice

Passwords are never taken from the arguments, which everybody on the machine can see. A running server takes the
change in within a second. Files made by Apache's "htpasswd -B" are the same.`;

export const tokenHelp = `
Examples:
  registry token create --user ci --repositories 'ci/**' --actions pull,push --expires 90d config.yml
  registry token create --user ci --repositories 'ci/**' --actions pull --expires never config.yml | docker login -u ci --password-stdin HOST
  registry token list config.yml
  registry token revoke 0123456789abcdef config.yml

A token is a password: log in as its user with it. It may do what it says, whatever the access rules say of a user
of that name. It is shown once; only a hash of it is kept. The server may be running.`;

export const accessHelp = `
Examples:
  registry access check alice push team-a/app config.yml
  registry access check '*' pull public/app config.yml    somebody who is not logged in
  registry access check ops admin config.yml

Says "allowed" and which rule allows it, or "denied". Reads the configuration alone.`;
