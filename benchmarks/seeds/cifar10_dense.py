"""The dense lesson's second part (CIFAR-10) as a bare script; prints its timers."""

from common import Timers, epochs_or, load_cifar10
from keras.layers import Dense
from keras.models import Sequential
from keras.utils import to_categorical

timers = Timers()
timers.start("data-load")
(x_train, y_train), (x_test, y_test) = load_cifar10()
timers.stop("data-load")

x_train, x_test = x_train / 255, x_test / 255
x_train = x_train.reshape(x_train.shape[0], 3072)
x_test = x_test.reshape(x_test.shape[0], 3072)
x_train = x_train / x_train.max()
x_test = x_test / x_test.max()
y_train = to_categorical(y_train, 10)
y_test = to_categorical(y_test, 10)

model = Sequential()
model.add(Dense(units=32, activation="relu", input_shape=(3072,)))
model.add(Dense(units=16, activation="relu"))
model.add(Dense(units=10, activation="softmax"))

timers.start("compile")
model.compile(optimizer="sgd", loss="categorical_crossentropy", metrics=["accuracy"])
timers.stop("compile")
timers.start("train")
model.fit(x_train, y_train, epochs=epochs_or(10), verbose=1, validation_data=(x_test, y_test))
timers.stop("train")
timers.start("test")
loss, accuracy = model.evaluate(x_test, y_test)
timers.stop("test")
timers.report(accuracy, int(model.optimizer.iterations))
