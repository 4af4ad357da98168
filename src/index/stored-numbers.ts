// Numbers that the tables hold in place of words. Never change the meaning of one.

/** A blob's row exists as soon as anything names its digest. */
export const blobState = {
  /** Named, but no bytes are known to be there. */
  absent: 0,
  present: 1,
  /** Nothing held it: it answers 404 and its bytes are being removed (INV-3, INV-6). */
  condemned: 2,
} as const;

/** How a manifest names a digest; the numbers are stored. */
export const namedKind = { blob: 1, manifest: 2, foreign: 3, subject: 4, other: 5 } as const;
