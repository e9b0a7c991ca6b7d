/** Stands for the number of a partition where keys belong to no partition. */
export const COMMON = -1
