// The examples of `registry --help` and of each command's: help that teaches. Text only.

const configurationText = `
The configuration is the classic registry's config.yml. Without an argument it is taken from
REGISTRY_CONFIGURATION_PATH, else from /etc/distribution/config.yml or /etc/docker/registry/config.yml.
Every key can be set by a variable: REGISTRY_STORAGE_DELETE_ENABLED=true.`;

export const programHelp = `
Examples:
  registry serve config.yml                     serve until stopped
  registry garbage-collect config.yml           give the disk back now, beside a running server or alone
  registry garbage-collect --dry-run config.yml show what would go, and how many bytes
  registry garbage-collect -m config.yml        also remove manifests that no tag leads to
  registry usage config.yml                     show who uses the disk
  registry verify config.yml                    check that index, tree and blobs agree
  registry verify --hash --repair config.yml    read every byte, move altered ones away, say what to push
  registry delete app:v1 config.yml             delete a tag, an image (app@sha256:...) or a repository
  registry restore --list config.yml            what was deleted and can be brought back: registry restore app:v1
  registry retention preview config.yml         show which tags the retention rules would remove
  registry reindex config.yml                   build the index again from the tree
  registry config config.yml                    show the effective configuration
  registry reload config.yml                    have a running server take it without a restart
  registry htpasswd add /auth/htpasswd alice    add a user who may log in, or change a password
  registry access check alice push team/app config.yml   who may do what, and by which rule

"registry help garbage-collect" says more of a command.
${configurationText}`;

export const serveHelp = `
Examples:
  registry serve config.yml                                         serve until stopped
  REGISTRY_HTTP_ADDR=:5001 registry serve config.yml                on another port
  REGISTRY_STORAGE_DELETE_ENABLED=true registry serve config.yml    let clients delete

The first start on a classic registry's directory builds an index of what is there, and changes nothing else.
One server owns a directory: a second one is refused, and is told which the first is.
SIGTERM and SIGINT end it: requests under way may finish, for http.draintimeout.
${configurationText}`;

export const garbageCollectHelp = `
Examples:
  registry garbage-collect config.yml              collect now; the server may be running, and pushes go on
  registry garbage-collect --dry-run config.yml    show what would go and how many bytes, and remove nothing
  registry garbage-collect -m config.yml           also manifests that no tag leads to, such as what a moved
                                                   tag left behind; children of an index that stays, stay
  registry garbage-collect --json config.yml | jq .bytesReclaimed
  registry garbage-collect --grace 0s config.yml   also what the classic registry left unfinished lately
  registry garbage-collect --keep-deleted 24h config.yml   leave what was deleted in the last day restorable
  registry garbage-collect --history config.yml    what earlier runs did, in the background too
  docker exec CONTAINER registry garbage-collect /etc/distribution/config.yml

Deleting an image (DELETE /v2/NAME/manifests/DIGEST) frees nothing by itself; this command does, at once. A
running server also collects in the background (gc.enabled) what was deleted longer ago than gc.keepdeleted.
What a client may be about to refer to is spared until its lease ends (gc.grace, 1h).
Exit code: 0, or 1 when something could not be collected.
${configurationText}`;

export const usageHelp = `
Examples:
  registry usage config.yml                                where the disk went; the repositories that use most
  registry usage config.yml --by tag --top 50              the largest images
  registry usage config.yml --by blob                      the largest blobs, and who holds them
  registry usage config.yml --by age                       bytes by how long ago they were pushed
  registry usage config.yml --repository team/app          one repository, and with whom it shares
  registry usage config.yml --repository 'ci/**' '!ci/keep'
  registry usage config.yml --delete-preview old/app team/app:v1    what deleting these would free, blob by blob
  registry usage --json config.yml | jq .summary.storedBytes

Exclusive bytes are what deleting alone frees, exactly; shared ones stay as long as something else holds them.
Changes nothing; the server may be running. Behind a list of globs or names, a last one that ends in .yml is the
configuration. Exit code: 0, or 1 when something that was named is not there.
${configurationText}`;

export const verifyHelp = `
Examples:
  registry verify config.yml                    every blob is there, with the right size
  registry verify --hash config.yml             also read every byte and check every digest (as slow as the disk)
  registry verify --hash --resume config.yml    go on where such a run was stopped
  registry verify --repair config.yml           mend what can be mended without losing anything
  registry verify --json config.yml | tail -n 1 | jq .   one document a line, the summary last

Without --repair it changes nothing; the server may be running. Exit code: 0 when everything is in order, else 1.
${configurationText}`;

export const deleteHelp = `
Examples:
  registry delete app:v1 config.yml             the tag; its image stays, untagged
  registry delete app@sha256:0123... config.yml the image: its tags, what only it names, its signatures
  registry delete --dry-run app config.yml      what a whole repository would be
  registry delete --yes old/app config.yml      the whole repository; it leaves the catalogue at once

It can be undone for gc.keepdeleted (24h): registry restore --list. The space comes back after that, by the
background collection, or at once by registry garbage-collect. The server may be running. It needs
storage.delete.enabled. The last argument is the configuration if it is a path or ends with .yml or .yaml.
Exit code: 0, or 1 when something was not there.
${configurationText}`;

export const restoreHelp = `
Examples:
  registry restore --list config.yml            what was deleted, by whom and when, and until when it can be restored
  registry restore --list --repository "team/**" config.yml
  registry restore app:v1 config.yml            the youngest deletion that took this tag
  registry restore app@sha256:0123... config.yml   the image, with its tags, children and signatures
  registry restore app#12 config.yml            by the number that --list shows
  registry restore --dry-run app config.yml     everything that was deleted in a repository

A tag that names something else by now is not moved, unless --force-tags is given. What a collection has let
go is gone. The server may be running. Exit code: 0, or 1 when something could not be restored.
${configurationText}`;

export const retentionHelp = `
Examples:
  registry retention preview config.yml                     what would go, by which rule, and the bytes
  registry retention preview --all config.yml               also what stays, and what keeps it
  registry retention preview --rule ci-builds config.yml    one rule only
  registry retention preview --repository 'ci/**' config.yml
  registry retention apply config.yml                       remove it now
  registry retention preview --json config.yml | jq 'select(.kind == "tag") | .tag'

The rules are those of config.yml (section retention), also while a server runs with other ones; the server
applies its own on their interval. What goes can be restored for gc.keepdeleted, and then comes back as disk space
with the next collection; registry garbage-collect gives it back at once. Needs storage.delete.enabled.
${configurationText}`;

export const reindexHelp = `
Examples:
  registry reindex config.yml                   after the tree was restored or changed by other means

Beside a running server, it has the server compare the index with the tree once more.
${configurationText}`;

export const reloadHelp = `
Examples:
  registry reload config.yml                    say what was applied, and what needs a restart

The argument says where the server is; the server reads the file that it was started with. The same as
kill -HUP, but one sees what became of it. Exit code: 1 when the configuration cannot be used, and nothing
was changed.
${configurationText}`;

export const configHelp = `
Examples:
  registry config config.yml                    every key in effect, with defaults
  registry config config.yml > /dev/null        only what is unknown or wrong in it
  REGISTRY_LOG_LEVEL=debug registry config config.yml

Starts and changes nothing. Exit code: 1 when a server would not start with this configuration.
${configurationText}`;
