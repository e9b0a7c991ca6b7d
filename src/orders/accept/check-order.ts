import { Big } from 'big.js'
import { decimalsOf } from '../../../schema/http/currency.ts'
import type { NewOrder } from '../../../schema/http/order.ts'
import { addUpTo, sumOfItems } from '../details.ts'
import { InvalidOrder, type OrderFault } from '../errors.ts'

/**
 * Checks the rules that the schema of an order cannot express: no amount has more decimals than the currency, and the
 * items add up to the amount.
 * @throws {InvalidOrder} when the order breaks a rule; the error lists every fault.
 */
export function checkOrder({ amount, currency, items = [] }: NewOrder): void {
  const faults = currency === undefined ? [] : findDecimalFaults(currency, amount, items)
  if (items.length > 0 && !addUpTo(items, amount)) {
    const sum = sumOfItems(items).toFixed()
    faults.push({ pointer: '/items', detail: `the items add up to ${sum}, not to amount` })
  }
  if (faults.length > 0) throw new InvalidOrder(faults)
}

function findDecimalFaults(
  currency: string,
  amount: number | string,
  items: NonNullable<NewOrder['items']>
): OrderFault[] {
  const places = decimalsOf(currency)
  const detail = `has more decimals than ${currency} has (${places})`
  return [
    { pointer: '/amount', value: amount },
    ...items.map(({ unit_price }, index) => ({ pointer: `/items/${index}/unit_price`, value: unit_price }))
  ]
    .filter(({ value }) => !new Big(value).round(places, Big.roundDown).eq(value))
    .map(({ pointer }) => ({ pointer, detail }))
}
