// Results of the search, shelf by shelf: lessons, other pages, and last what the code says.
Scorer.score = ([page, , , , score]) =>
  score + (page.startsWith("book/") ? 1000 : page.startsWith("reference") ? 0 : 500);
