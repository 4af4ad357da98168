// Modes as the classic registry's, so that the operator's umask decides there and here alike.
export const fileMode = 0o666;
export const directoryMode = 0o777;
