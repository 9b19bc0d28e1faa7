package kernels

// panelColumns is how many columns of weights a packed panel has.
const panelColumns = 32

// panelBytes is the size of a packed panel of depth k, with room for a whole line
// more: weights that do not start with one are packed with what lies about them.
func panelBytes(k int) int { return (k + 127) / 64 * 64 * panelColumns }

// linesBytes is the size of the lines that columnsS8 reads ahead.
const linesBytes = 2 * 16 * 64
