// Results of the search, shelf by shelf: lessons, appendices, other pages, and last what the code says.
const SHELVES = [/^reference/, /^(?!book)/, /^book\/9/, /^book/];
Scorer.score = ([page, , , , score]) => score + 1000 * SHELVES.findIndex((shelf) => shelf.test(page));
