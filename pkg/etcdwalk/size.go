// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdwalk

const (
	// firstLimit is how many values the first page may have.
	firstLimit = 32
	// mostValues is how many a page may have at most, however small they are.
	mostValues = 2000
	// growth is by how much the next page may have more values than the one before.
	growth = 4
	// reduction is by how much fewer are asked for again after a page that was too large.
	reduction = 8
	// aimedBytes is what a page shall have if the values stay as large as they were.
	aimedBytes = 2 << 20
	// mostBytes is what a page of several values may have, mostValueBytes one of a single value.
	mostBytes      = 4 << 20
	mostValueBytes = 16 << 20
)

// sizer tells how many values the next page may have, from the sizes of those before (rule 6 of the package).
type sizer struct {
	limit, most int
	// mean is how many bytes a value is taken to have, key included. It rises at once and falls to half of it at most with
	// each page: large values come in groups.
	mean int
	// hold is for how many values the limit does not pass the roof: somewhere among them is what made a page too large.
	hold, roof int
}

// newSizer starts with few values. A limit of the rate, in values per second, is that of a page as well; 0 is none.
func newSizer(rate float64) sizer {
	most := mostValues
	if rate > 0 {
		most = max(1, int(min(rate, mostValues)))
	}
	return sizer{limit: min(firstLimit, most), most: most}
}

// fitted takes a page that came.
func (s *sizer) fitted(values, bytes int) {
	if values == 0 {
		return
	}
	s.mean = max(1, (bytes+values-1)/values, s.mean/2)
	s.limit = max(1, min(aimedBytes/s.mean, s.limit*growth, s.most))
	if s.hold -= values; s.hold > 0 {
		s.limit = min(s.limit, s.roof)
	}
}

// reduce takes that a page for which so many values were asked was too large, or too slow. It tells whether a smaller one
// can be asked for.
func (s *sizer) reduce(asked int) bool {
	if asked == 1 {
		return false
	}
	s.limit = max(1, asked/reduction)
	s.hold, s.roof = asked, s.limit
	return true
}

// pageBytes is what a page of so many values may have.
func pageBytes(limit int) int {
	if limit == 1 {
		return mostValueBytes
	}
	return mostBytes
}
