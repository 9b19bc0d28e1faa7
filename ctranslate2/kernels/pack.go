package kernels

// panelColumns is how many columns of weights a packed panel has.
const panelColumns = 32

// panelBytes is the size of a packed panel of depth k.
func panelBytes(k int) int { return (k + 3) / 4 * 4 * panelColumns }
