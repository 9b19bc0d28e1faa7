package ctranslate2

import "math"

// relativeBias is T5's bias by the distance between query and key (Raffel et
// al., 2020): distances fall into buckets, exact when near, logarithmic when far.
type relativeBias struct {
	table       []float32 // [buckets][heads]
	buckets     int
	heads       int
	maxDistance int
	near        [2][]int32 // buckets of distances below maxDistance, to be looked up: both ways, and back only
}

// maxRelative bounds maxDistance, and with it the tables.
const maxRelative = 1 << 16

func (s scope) relativeBias(v *Variable, heads int) *relativeBias {
	b := &relativeBias{heads: heads, maxDistance: s.integer("relative_attention_max_distance", 128)}
	if len(v.Shape) != 2 || v.Shape[1] != heads || v.Shape[0] < 4 || b.maxDistance <= v.Shape[0]/2 || b.maxDistance > maxRelative {
		s.l.fail("variable %q has shape %v with a maximum distance of %d, [buckets %d] is needed", v.Name, v.Shape, b.maxDistance, heads)
		return b
	}
	b.buckets = v.Shape[0]
	b.table = s.l.floats(v)
	for i, buckets := range []int{b.buckets / 2, b.buckets} {
		b.near[i] = make([]int32, b.maxDistance)
		for d := range b.near[i] {
			b.near[i][d] = int32(b.compute(d, buckets))
		}
	}
	return b
}

// add adds to scores [keys] the bias of a head for a query at position pos.
func (b *relativeBias) add(scores []float32, head, pos int, decoder bool) {
	for j := range scores {
		scores[j] += b.table[b.bucket(j-pos, decoder)*b.heads+head]
	}
}

// bucket returns the bucket of a key's distance from its query. A decoder
// looks only back, so that all buckets serve one direction.
func (b *relativeBias) bucket(distance int, decoder bool) int {
	buckets, base, near := b.buckets, 0, b.near[1]
	switch {
	case decoder:
		distance = max(-distance, 0)
	case distance > 0:
		buckets /= 2
		base, near = buckets, b.near[0]
	default:
		buckets /= 2
		distance, near = -distance, b.near[0]
	}
	if distance < len(near) {
		return base + int(near[distance])
	}
	return base + buckets - 1
}

// compute returns the bucket of a distance in one direction.
func (b *relativeBias) compute(distance, buckets int) int {
	exact := buckets / 2
	if distance < exact {
		return distance
	}
	far := log32(float32(distance)/float32(exact)) / log32(float32(b.maxDistance)/float32(exact)) * float32(buckets-exact)
	return min(int(float32(exact)+far), buckets-1)
}

func log32(x float32) float32 { return float32(math.Log(float64(x))) }
