import type { ServiceFunction } from '../streams/registry/service-function.ts'
import { ORDER_FUNCTION, PLACED } from './names.ts'

/** Describes `process-orders` for the operations on streams. The audit reads the counters. */
export const ORDER_SERVICE_FUNCTION: ServiceFunction = {
  name: ORDER_FUNCTION,
  stream: PLACED,
  group: ORDER_FUNCTION,
  redriveCounters: { conflict: ['conflicts', -1], '': ['redriving', 1] }
}

/** The functions that the service itself provides. */
export const SERVICE_FUNCTIONS: readonly ServiceFunction[] = [ORDER_SERVICE_FUNCTION]
