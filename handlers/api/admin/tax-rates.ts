import { ADMIN_BODY_LIMIT, adminErrors, adminRoute, bodyErrors } from '../../../schema/http/admin.ts'
import { ref } from '../../../schema/http/ref.ts'
import { problem, response } from '../../../schema/http/response.ts'
import { NewTaxRate, TaxRate, TaxRates } from '../../../schema/http/tax-rate.ts'
import type { App } from '../../../src/app.ts'

const list = {
  ...adminRoute,
  operationId: 'listTaxRates',
  summary: 'List the tax rates of the regions',
  description: 'By region and time, with the past and the future rates.',
  response: {
    200: response(TaxRates, { description: 'All rates, past and future ones too.' }),
    ...adminErrors
  }
} as const

const set = {
  ...adminRoute,
  operationId: 'setTaxRate',
  summary: 'Set the tax rate of a region from a time on',
  description:
    'The first rate of a region may begin at once. A later one has to begin at least one minute from now, so that every process knows it in time. A rate that was in force never changes; a future one can be set again.',
  body: ref(NewTaxRate),
  response: {
    200: response(TaxRate, { description: 'The rate, with its period.' }),
    409: problem('The rate cannot begin at that time.'),
    ...adminErrors,
    ...bodyErrors
  }
} as const

/** /admin/tax-rates: lists and sets the tax rates of the regions. */
export default async function taxRateRoutes(app: App) {
  const { taxRates } = app.orders
  if (!app.servesAdmin) return

  app.get('/tax-rates', { config: { scope: 'admin:read' }, schema: list }, async () => ({
    tax_rates: await taxRates.list()
  }))

  app.put(
    '/tax-rates',
    { config: { scope: 'admin' }, schema: set, bodyLimit: ADMIN_BODY_LIMIT },
    async ({ body: { region, rate, valid_from: from }, log, ip: client, id: requestId }) => {
      const wanted = { region, rate, from: from === undefined ? undefined : new Date(from).toISOString() }
      const taxRate = await taxRates.set(wanted, { client, requestId })
      log.warn({ ...taxRate, client }, 'a tax rate was set')
      return taxRate
    }
  )
}
