// What the domain asks of whoever watches how full the storage is, before it takes bytes in.
// Implemented in pressure/. Documentation: docs/limits.md.

export interface LoadLine {
  /**
   * Before the first byte of a body is read. `bytes`: announced; 0: not known.
   * @throws DiskFullError when the storage is loaded to its line, or would be with these.
   */
  admit(bytes: number): Promise<Admission>;
}

/** Bytes that may come in: counted as used from the moment at which they were admitted. */
export interface Admission {
  /** So many more were taken in; `waitingBytes`: of all of them, what no measurement can see on the disk yet. */
  received(bytes: number, waitingBytes: number): void;
  /**
   * Before bytes are written that nobody announced: none are, of a body in chunks.
   * @throws DiskFullError when these would go so far over the line that they fill the disk
   */
  checkUnannounced(bytes: number): Promise<void>;
  /** No more will come. To be called once, whatever happened. */
  end(): void;
}

/** For a registry that watches nothing. */
export const unboundedLoad: LoadLine = {
  admit: () =>
    Promise.resolve({
      received: () => undefined,
      checkUnannounced: () => Promise.resolve(),
      end: () => undefined,
    }),
};
