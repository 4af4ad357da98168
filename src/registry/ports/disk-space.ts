// The port to how full the storage is: a file system, or what was counted of an allowance.

export interface DiskUse {
  readonly usedBytes: number;
  /** What there is room for, `usedBytes` included. */
  readonly capacityBytes: number;
}

export interface DiskSpace {
  /** What is measured, for messages: "the file system of /var/lib/registry". */
  readonly name: string;
  /** As it is now. Cheap enough for the start of an upload. */
  measure(): Promise<DiskUse>;
}
