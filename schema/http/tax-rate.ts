import { type Static, Type } from 'typebox'
import { Reason } from './admin-action.ts'

/** The source of a RegExp for tax rates: decimal text from 0 to 1, with at most six decimals. */
export const RATE_PATTERN = '^(0(\\.\\d{1,6})?|1(\\.0{1,6})?)$'

/** A region with tax rates of its own. */
export const Region = Type.String({
  pattern: '^[A-Z0-9-]{1,20}$',
  description: '1 to 20 of A–Z, 0–9 and hyphen: a region with tax rates of its own.',
  examples: ['DE', 'US-CA']
})

const Rate = Type.String({
  pattern: RATE_PATTERN,
  description: 'Decimal text from 0 to 1, with at most six decimals.',
  examples: ['0.19']
})

const Time = (description: string) =>
  Type.String({ format: 'date-time', description, examples: ['2026-01-31T12:00:00.000Z'] })

/** The tax rate of a region in a period. */
export const TaxRate = Type.Object(
  {
    region: Region,
    rate: Rate,
    valid_from: Time('When it begins (UTC).'),
    valid_to: Type.Union([Time('When the next rate of the region begins (UTC).'), Type.Null()]),
    created_at: Time('When it was set (UTC).')
  },
  {
    $id: 'TaxRate',
    description: 'The tax rate of a region in a period. `valid_to` is null for the last one.'
  }
)
/** The tax rate of a region in a period. */
export type TaxRate = Static<typeof TaxRate>

/** Answer to `GET /admin/tax-rates`. */
export const TaxRates = Type.Object(
  { tax_rates: Type.Array(Type.Unsafe<TaxRate>({ $ref: 'TaxRate#' })) },
  { $id: 'TaxRates', description: 'All tax rates, by region and time.' }
)

/** Body of `PUT /admin/tax-rates`. */
export const NewTaxRate = Type.Object(
  {
    region: Region,
    reason: Type.Optional(Reason),
    rate: Rate,
    valid_from: Type.Optional(
      Type.String({
        format: 'date-time',
        // A leap second is invalid. The year starts with 2, so that MySQL can store it and texts compare like times.
        pattern: '^2\\d{3}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:[0-5]\\d(\\.\\d{1,3})?(Z|[+-]\\d\\d:\\d\\d)$',
        description:
          'When the rate begins: a time with Z or an offset, to the millisecond. As soon as possible by default.',
        examples: ['2027-01-01T00:00:00Z']
      })
    )
  },
  { $id: 'NewTaxRate', additionalProperties: false, description: 'A tax rate to set.' }
)
/** Body of `PUT /admin/tax-rates`. */
export type NewTaxRate = Static<typeof NewTaxRate>
