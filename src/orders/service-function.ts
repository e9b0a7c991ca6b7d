import type { ServiceFunction } from '../streams/registry/service-function.ts'
import { ORDER_FUNCTION, PLACED } from './names.ts'

/** `process-orders`, as the operations on streams have to know it. The audit adds up its counters. */
export const ORDER_SERVICE_FUNCTION: ServiceFunction = {
  name: ORDER_FUNCTION,
  stream: PLACED,
  group: ORDER_FUNCTION,
  redriveCounters: { conflict: ['conflicts', -1], '': ['redriving', 1] }
}

/** The functions that belong to the service. */
export const SERVICE_FUNCTIONS: readonly ServiceFunction[] = [ORDER_SERVICE_FUNCTION]
